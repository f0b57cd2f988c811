//! Folders: made, moved, missing; files that are still being copied.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use brandpost::config::Settings;
use brandpost::domain::clock::{Clock, SystemClock};
use brandpost::domain::failure::ErrorKind;
use brandpost::domain::notice::NoticeName;
use brandpost::domain::upload::State;
use brandpost::intake::Intake;
use brandpost::ledger::StatusRow;
use brandpost::metrics::Metrics;
use sandbox::{Fault, FaultAction};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::pictures::{jpg, png};
use crate::support::{Bench, OTHER, OWN, names_in_state};

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_folder_made_later_is_picked_up_with_its_first_files() {
    let mut bench = Bench::new().await;
    bench.start().await;
    bench.quiet().await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    bench.until_state("1.jpg", State::Uploaded).await;
    // prepared elsewhere, moved in whole
    let prepared = bench.folder.path().join("prepared");
    fs::create_dir(&prepared).unwrap();
    fs::write(prepared.join("2.png"), png(2)).unwrap();
    fs::create_dir_all(bench.folder.path().join("inbox/OTHERBRAND")).unwrap();
    fs::rename(&prepared, bench.folder.path().join("inbox").join(OTHER)).unwrap();
    bench.until_state("2.png", State::Uploaded).await;
    bench.stop().await;
    assert_eq!(bench.puts().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_folder_belongs_to_its_brand() {
    let share = tempfile::tempdir().unwrap();
    let entry =
        format!("[[brand]]\ntype = \"OWNBRAND\"\nid = 7\npath = \"{}\"\nmax = 3\n", share.path().display());
    let mut bench = Bench::with(&entry).await;
    fs::write(share.path().join("a.jpg"), jpg(1)).unwrap();
    bench.once().await;
    assert_eq!(bench.object("qualification/OWNBRAND/7/1.jpg"), jpg(1));
    assert_eq!(bench.report().await.brands(None, None, None).await.unwrap()[0].slots_total, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_unfinished_and_deeper_names_are_never_recorded() {
    let mut bench = Bench::new().await;
    for name in
        [".a.jpg", "a.jpg.part", "b.partial", "c.tmp", "d.crdownload", "~e.jpg", "f.jpg~", "Thumbs.db"]
    {
        fs::write(bench.brand(OWN).join(name), jpg(1)).unwrap();
    }
    fs::create_dir(bench.brand(OWN).join("deeper")).unwrap();
    fs::write(bench.brand(OWN).join("deeper/g.jpg"), jpg(1)).unwrap();
    bench.once().await;
    assert_eq!(bench.rows().await, []);
}

/// A panorama of a phone has no end marker before its film, and some GIFs have no trailer.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_without_its_end_marker_is_waited_for_and_then_taken() {
    let mut bench = Bench::with("[watch]\nsettle = \"50ms\"\ngrace = \"1s\"\n").await;
    bench.start().await;
    let pictures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    let began = tokio::time::Instant::now();
    for name in ["a-jpg-samsung-panorama-quiet.jpg", "a-gif-no-trailer.gif"] {
        bench.drop_file(OWN, name, &fs::read(pictures.join(name)).unwrap());
    }
    bench.until_state("a-jpg-samsung-panorama-quiet.jpg", State::Uploaded).await;
    bench.until_state("a-gif-no-trailer.gif", State::Uploaded).await;
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_still_being_copied_is_waited_for() {
    let mut bench = Bench::with("[watch]\nsettle = \"50ms\"\ngrace = \"60s\"\n").await;
    bench.start().await;
    bench.quiet().await;
    let whole = jpg(1);
    let path = bench.brand(OWN).join("a.jpg");
    fs::write(&path, &whole[..200]).unwrap();
    bench.seen(OWN).await;
    assert!(
        !bench.rows().await.iter().any(|row| row.file_name == "a.jpg"),
        "closed, cut and young: not judged yet"
    );
    fs::File::options().append(true).open(&path).unwrap().write_all(&whole[200..]).unwrap();
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.stop().await;
    assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_writer_never_closes_it_settles() {
    let mut bench = Bench::new().await;
    bench.start().await;
    bench.quiet().await;
    let mut writer = fs::File::create(bench.brand(OWN).join("a.jpg")).unwrap();
    writer.write_all(&jpg(1)).unwrap();
    bench.until_state("a.jpg", State::Uploaded).await;
    drop(writer);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_finds_what_inotify_would() {
    let mut bench =
        Bench::with("[watch]\nmode = \"poll\"\npoll_interval = \"50ms\"\nsettle = \"20ms\"\n").await;
    bench.start().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.drop_file(OWN, "a.jpg", &jpg(2));
    bench
        .until("revision 2", |rows| rows.iter().any(|row| row.revision == 2 && row.state == State::Uploaded))
        .await;
    bench.stop().await;
}

fn gateway_is_down() -> Fault {
    Fault::gateway(FaultAction::Status {
        status: 503,
        headers: std::collections::BTreeMap::new(),
        body: String::new(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_deleted_before_it_could_be_sent_is_gone_and_back_when_it_is_back() {
    let mut bench = Bench::new().await;
    let path = bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(gateway_is_down());
    bench.start().await;
    bench.until("tried", |rows| !rows.is_empty()).await;
    fs::remove_file(&path).unwrap();
    let row = bench.until_state("a.jpg", State::Gone).await;
    assert_eq!(row.slot, None);
    bench.sandbox.clear_faults();
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_vanishes_takes_no_file_with_it() {
    let mut bench = Bench::with("[watch]\npoll_interval = \"50ms\"\nrescan = \"100ms\"\n").await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.drop_file(OWN, "b.txt", b"text");
    bench.sandbox.fault(gateway_is_down());
    bench.start().await;
    bench.until("both recorded", |rows| rows.len() == 2).await;
    let (inbox, away) = (bench.folder.path().join("inbox"), bench.folder.path().join("away"));
    fs::rename(&inbox, &away).unwrap();
    let told = async {
        while bench
            .report()
            .await
            .notices()
            .await
            .unwrap()
            .iter()
            .all(|notice| notice.name != NoticeName::Root)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    bench.sandbox.clear_faults();
    assert_eq!(names_in_state(&bench.rows().await, State::Gone), Vec::<&str>::new());
    fs::rename(&away, &inbox).unwrap();
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.drop_file(OWN, "c.jpg", &jpg(3));
    bench.until_state("c.jpg", State::Uploaded).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_folder_that_was_replaced_is_watched_again() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.until_state("a.jpg", State::Uploaded).await;
    let folder = bench.brand(OWN);
    fs::rename(&folder, bench.folder.path().join("old")).unwrap();
    bench.drop_file(OWN, "b.jpg", &jpg(2));
    bench.until_state("b.jpg", State::Uploaded).await;
    bench.drop_file(OWN, "c.jpg", &jpg(3));
    bench.until_state("c.jpg", State::Uploaded).await;
    assert_eq!(bench.row("a.jpg").await.state, State::Uploaded);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_unsent_and_comes_back_unchanged_is_sent() {
    let mut bench = Bench::new().await;
    let path = bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.drop_file(OTHER, "b.jpg", &jpg(2));
    bench.sandbox.fault(gateway_is_down());
    bench.start().await;
    bench.until("both are recorded", |rows| rows.len() == 2).await;
    let away = bench.folder.path().join("away.jpg");
    let (brand, brand_away) = (bench.brand(OTHER), bench.folder.path().join("away"));
    fs::rename(&path, &away).unwrap();
    fs::rename(&brand, &brand_away).unwrap();
    bench.until("both are gone", |rows| names_in_state(rows, State::Gone).len() == 2).await;
    fs::rename(&away, &path).unwrap();
    fs::rename(&brand_away, &brand).unwrap();
    bench.sandbox.clear_faults();
    bench.until("both are sent", |rows| names_in_state(rows, State::Uploaded).len() == 2).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_while_it_is_sent_is_sent_again() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(Fault::oss(FaultAction::Delay { ms: 600 }).times(1));
    bench.start().await;
    bench.until("OSS has the request", |_| bench.puts().len() == 1).await;
    bench.drop_file(OWN, "a.jpg", &jpg(2));
    bench
        .until("revision 2", |rows| rows.iter().any(|row| row.revision == 2 && row.state == State::Uploaded))
        .await;
    bench.stop().await;
    assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), jpg(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_renamed_while_it_is_sent_keeps_its_row() {
    let mut bench = Bench::new().await;
    let path = bench.drop_file(OWN, "a.jpg", &jpg(1));
    let expired =
        FaultAction::OssError { status: 403, code: "SecurityTokenExpired".into(), message: "m".into() };
    bench.sandbox.fault(Fault::oss(FaultAction::Delay { ms: 400 }).times(1));
    bench.sandbox.fault(Fault::oss(expired).times(1));
    bench.start().await;
    bench.until("OSS has the request", |_| bench.puts().len() == 1).await;
    fs::rename(&path, path.with_file_name("b.jpg")).unwrap();
    let row = bench.until_state("b.jpg", State::Uploaded).await;
    assert_eq!((row.slot, bench.rows().await.len()), (Some(1), 1));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_moved_over_another_leaves_one_that_is_uploaded() {
    let mut bench = Bench::new().await;
    let a = bench.drop_file(OWN, "a.jpg", &jpg(1));
    let b = bench.drop_file(OWN, "b.jpg", &jpg(2));
    bench.once().await;
    fs::rename(&a, &b).unwrap();
    bench.once().await;
    let row = bench.row("b.jpg").await;
    assert_eq!((row.state.as_str(), row.slot, row.revision), ("uploaded", Some(2), 2));
    assert_eq!(bench.object("qualification/OWNBRAND/1001/2.jpg"), jpg(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hard_link_beside_a_rename_is_a_duplicate_and_takes_no_row() {
    let mut bench = Bench::new().await;
    let a = bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    fs::rename(&a, a.with_file_name("b.jpg")).unwrap();
    fs::hard_link(a.with_file_name("b.jpg"), a.with_file_name("c.jpg")).unwrap();
    bench.once().await;
    assert_eq!(
        (bench.row("b.jpg").await.state.as_str(), bench.row("b.jpg").await.slot),
        ("uploaded", Some(1))
    );
    assert_eq!(bench.row("c.jpg").await.error_kind, Some(ErrorKind::Duplicate));
    assert_eq!(bench.puts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_replaced_by_another_is_watched() {
    let mut bench = Bench::with("[watch]\npoll_interval = \"50ms\"\nsettle = \"50ms\"\n").await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.until_state("a.jpg", State::Uploaded).await;
    fs::rename(bench.folder.path().join("inbox"), bench.folder.path().join("old")).unwrap();
    bench.drop_file(OWN, "b.jpg", &jpg(2));
    bench.until_state("b.jpg", State::Uploaded).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_by_a_folder_is_gone() {
    let mut bench = Bench::new().await;
    let path = bench.drop_file(OWN, "a.jpg", b"no picture");
    bench.start().await;
    bench.until_state("a.jpg", State::Rejected).await;
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    bench.until_state("a.jpg", State::Gone).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_whatever_is_in_its_way() {
    // rows of a brand whose folder went while nobody watched, with a mark that nobody can take off
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", b"no picture");
    bench.once().await;
    fs::remove_dir_all(bench.brand(OWN)).unwrap();
    let clock = std::sync::Arc::new(brandpost::domain::clock::SystemClock);
    let ledger = brandpost::ledger::Ledger::open(bench.location(), clock).await.unwrap();
    ledger.retry(&brandpost::ledger::RetrySelection::Rejected).await.unwrap();
    ledger.close().await;
    bench.once().await;
    assert_eq!(bench.row("a.jpg").await.state, State::Gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tidied_file_that_is_dropped_again_is_tidied_again() {
    let mut bench = Bench::with("[upload]\nafter = \"delete\"\n").await;
    bench.start().await;
    for _ in 0..2 {
        let path = bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.until("it is deleted", |rows| !path.exists() && rows.len() == 1).await;
        bench.until_state("a.jpg", State::Uploaded).await;
    }
    bench.stop().await;
    assert_eq!(bench.puts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_file_renamed_over_a_bad_one_keeps_row_and_slot() {
    let mut bench = Bench::new().await;
    let bad = bench.drop_file(OWN, "front.jpg", b"no picture");
    let good = bench.drop_file(OWN, "good.jpg", &jpg(1));
    bench.once().await;
    fs::rename(&good, &bad).unwrap();
    bench.once().await;
    let rows = bench.rows().await;
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(
        (rows[0].file_name.as_str(), rows[0].state.as_str(), rows[0].slot),
        ("front.jpg", "uploaded", Some(1))
    );
    assert_eq!(bench.puts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_folder_may_be_a_link_and_needs_no_root_and_may_vanish() {
    let share = tempfile::tempdir().unwrap();
    let (nas, link) = (share.path().join("nas"), share.path().join("link"));
    fs::create_dir(&nas).unwrap();
    std::os::unix::fs::symlink(&nas, &link).unwrap();
    fs::write(nas.join("a.jpg"), jpg(1)).unwrap();
    fs::write(nas.join("b.txt"), "text").unwrap();
    let entry = format!(
        "[watch]\nroot = \"none\"\npoll_interval = \"50ms\"\nrescan = \"100ms\"\n[[brand]]\ntype = \"OWNBRAND\"\nid = 7\npath = \"{}\"\n",
        link.display()
    );
    let mut bench = Bench::with(&entry).await;
    bench.start().await;
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.until_state("b.txt", State::Rejected).await;
    assert_eq!(bench.report().await.notices().await.unwrap(), []);
    fs::rename(&nas, share.path().join("away")).unwrap();
    let mut intake = bench.intake();
    intake.wait_for(|progress| progress.unreadable == 1).await.unwrap();
    assert_eq!(bench.row("b.txt").await.state, State::Rejected, "not gone: nothing is known of it");
    fs::rename(share.path().join("away"), &nas).unwrap();
    intake.wait_for(|progress| progress.unreadable == 0).await.unwrap();
    fs::write(nas.join("c.jpg"), jpg(3)).unwrap();
    bench.until_state("c.jpg", State::Uploaded).await;
    bench.stop().await;
    assert_eq!(bench.puts().len(), 2);
}

/// What was in `what` (a folder) when the daemon worked is on a file system that is not mounted at the next start.
async fn unmounted(what: &str) {
    let quick = "[watch]\nsettle = \"100ms\"\ngrace = \"300ms\"\npoll_interval = \"200ms\"\n";
    let mut bench = Bench::with(quick).await;
    bench.sandbox.fault(Fault::gateway(FaultAction::Status {
        status: 503,
        body: String::new(),
        headers: std::collections::BTreeMap::new(),
    }));
    let path = bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.until_state("a.jpg", State::Retrying).await;
    let mount = bench.folder.path().join(what);
    bench.ledger().set_mount_point(&mount, true).await.unwrap();
    bench.stop_now().await;
    bench.sandbox.clear_faults();

    let elsewhere = bench.folder.path().join("elsewhere");
    fs::rename(&mount, &elsewhere).unwrap();
    fs::create_dir(&mount).unwrap();
    bench.start().await;
    let mut intake = bench.intake();
    let noticed = intake.wait_for(|progress| progress.scanned && progress.unreadable > 0);
    tokio::time::timeout(Duration::from_secs(20), noticed)
        .await
        .expect("something is known to be missing")
        .unwrap();
    assert_ne!(bench.row("a.jpg").await.state, State::Gone, "{what}");

    fs::remove_dir(&mount).unwrap();
    fs::rename(&elsewhere, &mount).unwrap();
    bench.until_state("a.jpg", State::Uploaded).await;
    assert!(path.exists());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_unmounted_at_the_start_is_not_an_empty_one() {
    unmounted("inbox").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_folder_that_is_unmounted_at_the_start_is_not_an_empty_one() {
    unmounted("inbox/OWNBRAND").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_folder_that_is_unmounted_at_the_start_is_not_an_empty_one() {
    unmounted(&format!("inbox/{OWN}")).await;
}

/// inotify's watch is lost with a move, and the folder that is back is the one that was watched.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_goes_and_comes_back_in_a_moment_is_watched_again() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    bench.start().await;
    bench.quiet().await;
    let away = bench.folder.path().join("away");
    for (number, what) in [(2, OWN), (3, "OWNBRAND")] {
        let path = bench.folder.path().join("inbox").join(what);
        fs::rename(&path, &away).unwrap();
        fs::rename(&away, &path).unwrap();
        bench.seen(OTHER).await;
        bench.drop_file(OWN, format!("{number}.jpg"), &jpg(number));
        bench.until_state(&format!("{number}.jpg"), State::Uploaded).await;
    }
    bench.stop().await;
    assert_eq!(bench.puts().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_behind_a_link_in_the_place_of_a_type_folder_is_never_read() {
    for mode in ["native", "poll"] {
        let watch = format!("[watch]\nmode = \"{mode}\"\npoll_interval = \"50ms\"\nsettle = \"100ms\"\n");
        let mut bench = Bench::with(&watch).await;
        let elsewhere = bench.folder.path().join("elsewhere");
        fs::create_dir_all(elsewhere.join("1001")).unwrap();
        fs::write(elsewhere.join("1001/secret.jpg"), jpg(66)).unwrap();
        bench.drop_file(OWN, "1.jpg", &jpg(1));
        bench.start().await;
        bench.quiet().await;
        let own = bench.folder.path().join("inbox/OWNBRAND");
        fs::rename(&own, bench.folder.path().join("away")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &own).unwrap();
        // a look at the folder that was there is due as well
        bench.recheck("1.jpg").await;
        for _ in 0..3 {
            bench.seen(OTHER).await;
        }
        bench.stop().await;
        let rows = bench.rows().await;
        assert!(rows.iter().all(|row| row.file_name != "secret.jpg"), "{mode}: {rows:#?}");
        assert_eq!(bench.puts().len(), 1, "{mode}");
    }
}

/// A root on a file server that is gone: its files wait, and take no turn of those that can be sent.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_reached_take_no_turns() {
    let share = tempfile::tempdir().unwrap();
    let entry = format!(
        "[limits]\nconcurrency = 2\nuploads_per_second = 10\nburst = 1\n[retry]\nfirst_delay = \"50ms\"\nmax_delay = \"20s\"\n[[brand]]\ntype = \"OTHERBRAND\"\nid = 7\npath = \"{}\"\n",
        share.path().display()
    );
    let mut bench = Bench::with(&entry).await;
    for record in 1..=6 {
        for number in 1..=10 {
            bench.drop_file(
                &format!("OWNBRAND/{record}"),
                format!("{number}.jpg"),
                &jpg(record * 10 + number),
            );
        }
    }
    bench.start().await;
    bench.ledger().suspend("").await.unwrap();
    bench.until("all are recorded", |rows| rows.len() == 60).await;
    fs::rename(bench.folder.path().join("inbox"), bench.folder.path().join("away")).unwrap();
    bench.ledger().resume().await.unwrap();
    for number in 1..=6 {
        fs::write(share.path().join(format!("mapped-{number}.jpg")), jpg(200 + number)).unwrap();
    }
    let sent = |rows: &[StatusRow]| {
        names_in_state(rows, State::Uploaded).iter().filter(|name| name.starts_with("mapped")).count()
    };
    bench.until("what can be sent is sent", |rows| sent(rows) == 6).await;
    fs::rename(bench.folder.path().join("away"), bench.folder.path().join("inbox")).unwrap();
    bench
        .until("the others are due at once", |rows| rows.iter().all(|row| row.state == State::Uploaded))
        .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_folder_that_is_made_anew_under_its_old_name_is_watched() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.until_state("a.jpg", State::Uploaded).await;
    let kind = bench.folder.path().join("inbox/OWNBRAND");
    fs::rename(&kind, bench.folder.path().join("away")).unwrap();
    fs::create_dir(&kind).unwrap();
    bench.seen(OTHER).await;
    bench.drop_file("OWNBRAND/5", "b.jpg", &jpg(2));
    bench.until_state("b.jpg", State::Uploaded).await;
    bench.drop_file("OWNBRAND/5", "c.jpg", &jpg(3));
    bench.until_state("c.jpg", State::Uploaded).await;
    bench.stop().await;
}

/// As a file server that was restored, or copied to another disk that is mounted in its place.
#[tokio::test(flavor = "multi_thread")]
async fn files_with_other_inodes_are_read_and_not_sent() {
    let mut bench = Bench::new().await;
    for seed in 1..=3 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
    }
    bench.once().await;
    let (inbox, copy) = (bench.folder.path().join("inbox"), bench.folder.path().join("copy"));
    let copied = std::process::Command::new("cp").arg("-a").args([&inbox, &copy]).status().unwrap();
    assert!(copied.success());
    fs::remove_dir_all(&inbox).unwrap();
    fs::rename(&copy, &inbox).unwrap();
    let before = bench.rows().await;
    bench.once().await;
    let places =
        |rows: &[StatusRow]| rows.iter().map(|row| (row.id, row.slot, row.revision)).collect::<Vec<_>>();
    assert_eq!(places(&bench.rows().await), places(&before));
    assert_eq!(bench.puts().len(), 3);
}

/// As mounts of cloud storage show files for a while after they were touched.
#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_file_that_looks_empty_for_a_while_is_not_sent_again() {
    for other in [None, Some(jpg(2))] {
        let mut bench = Bench::new().await;
        let path = bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.start().await;
        bench.until_state("a.jpg", State::Uploaded).await;
        let file = fs::File::options().write(true).truncate(true).open(&path).unwrap();
        bench.until_state("a.jpg", State::Rejected).await;
        drop(file);
        fs::write(&path, other.clone().unwrap_or_else(|| jpg(1))).unwrap();
        let row = bench.until_state("a.jpg", State::Uploaded).await;
        let (puts, revision) = if other.is_some() { (2, 2) } else { (1, 1) };
        assert_eq!((row.slot, row.revision, row.error_kind), (Some(1), revision, None));
        bench.stop().await;
        assert_eq!(bench.puts().len(), puts);
        assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), other.unwrap_or_else(|| jpg(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_given_up_leaves_no_row() {
    let mut bench = Bench::with("[watch]\nsettle = \"50ms\"\ngrace = \"60s\"\n").await;
    bench.start().await;
    bench.quiet().await;
    let path = bench.brand(OWN).join("a.jpg");
    fs::write(&path, &jpg(1)[..200]).unwrap();
    bench.seen(OWN).await;
    fs::remove_file(&path).unwrap();
    bench.seen(OWN).await;
    bench.stop().await;
    assert!(bench.rows().await.iter().all(|row| row.file_name.starts_with("marker")));
}

/// A link raises no close: its ctime, which is new, has to settle.
#[tokio::test(flavor = "multi_thread")]
async fn a_hard_link_from_elsewhere_is_taken() {
    let mut bench = Bench::new().await;
    let elsewhere = bench.folder.path().join("a.jpg");
    fs::write(&elsewhere, jpg(1)).unwrap();
    bench.brand(OWN);
    bench.start().await;
    bench.quiet().await;
    fs::hard_link(&elsewhere, bench.brand(OWN).join("a.jpg")).unwrap();
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.stop().await;
}

/// The watches go with the folders, and their events still come under the old names.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_above_the_root_that_is_moved_away_and_back_loses_nothing() {
    let mut bench =
        Bench::with("[watch]\nroot = \"deep/inbox\"\npoll_interval = \"50ms\"\nsettle = \"50ms\"\n").await;
    let (deep, away) = (bench.folder.path().join("deep"), bench.folder.path().join("away"));
    fs::create_dir_all(deep.join("inbox").join(OWN)).unwrap();
    fs::write(deep.join("inbox").join(OWN).join("a.jpg"), jpg(1)).unwrap();
    bench.start().await;
    bench.until_state("a.jpg", State::Uploaded).await;
    fs::rename(&deep, &away).unwrap();
    fs::write(away.join("inbox").join(OWN).join("b.jpg"), jpg(2)).unwrap();
    bench.intake().wait_for(|progress| progress.unreadable > 0).await.unwrap();
    assert_eq!(bench.rows().await.len(), 1, "nothing is known of what is there now");
    fs::rename(&away, &deep).unwrap();
    bench.until_state("b.jpg", State::Uploaded).await;
    fs::write(deep.join("inbox").join(OWN).join("c.jpg"), jpg(3)).unwrap();
    bench.until_state("c.jpg", State::Uploaded).await;
    bench.stop().await;
}

async fn intake_of(bench: &Bench) -> Intake {
    let settings = Arc::new(Settings::load(&bench.config()).unwrap());
    let ledger = bench.ledger_of_its_own().await;
    Intake::new(settings, ledger, CancellationToken::new(), &Metrics::new(SystemClock.now()))
}

/// All that is due within a second is done.
async fn settle(intake: &mut Intake) {
    intake.step().await.unwrap();
    loop {
        while let Some(work) = intake.next_scan() {
            intake.end(work.await).unwrap();
        }
        let next = intake.next_step();
        if next > Instant::now() + Duration::from_secs(1) {
            return;
        }
        tokio::time::sleep_until(next).await;
        intake.step().await.unwrap();
    }
}

/// Files come before folders that are only called otherwise, however many those are.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_renames_many_folders_holds_up_no_file_of_others() {
    let bench = Bench::with("[watch]\nmode = \"native\"\nrescan = \"1h\"\npoll_interval = \"1h\"\n").await;
    bench.brand(OTHER);
    let folders: Vec<_> = (1..=200).map(|id| bench.brand(&format!("OWNBRAND/{id}"))).collect();
    let mut intake = intake_of(&bench).await;
    settle(&mut intake).await;
    for folder in &folders {
        fs::rename(folder, folder.with_extension("label")).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    intake.step().await.unwrap();
    tokio::time::sleep_until(intake.next_step()).await;
    intake.step().await.unwrap();
    let discovery = intake.next_scan().expect("a discovery").await;
    intake.end(discovery).unwrap();
    intake.step().await.unwrap();
    bench.drop_file(OTHER, "1.jpg", &jpg(1));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut before = 0;
    while bench.rows().await.is_empty() {
        intake.step().await.unwrap();
        let work = intake.next_scan().expect("the scan of the folder").await;
        intake.end(work).unwrap();
        before += 1;
    }
    assert!(before < 20, "{before} pieces of work came before the file");
    settle(&mut intake).await;
    let labels = bench.report().await.brands(None, None, None).await.unwrap();
    assert_eq!(labels.iter().filter(|brand| brand.label.as_deref() == Some("label")).count(), 200);
}

/// A folder that is made after its type folder was listed, and before intake took over what was found.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_made_while_a_discovery_goes_on_is_found() {
    let bench = Bench::with("[watch]\nmode = \"native\"\nrescan = \"1h\"\npoll_interval = \"1h\"\n").await;
    fs::create_dir_all(bench.folder.path().join("inbox/OWNBRAND")).unwrap();
    let mut intake = intake_of(&bench).await;
    intake.step().await.unwrap();
    let discovery = intake.next_scan().expect("a discovery").await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    tokio::time::sleep(Duration::from_millis(100)).await;
    intake.step().await.unwrap();
    intake.end(discovery).unwrap();
    settle(&mut intake).await;
    // a second after the first, the next discovery is due
    tokio::time::sleep(Duration::from_millis(1100)).await;
    settle(&mut intake).await;
    assert_eq!(bench.rows().await.len(), 1);
}

/// A first look at many folders watches them too. One that is moved away meanwhile, and another one in its place, is told
/// to it before the look is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_exchanged_while_it_is_looked_at_is_watched() {
    let bench = Bench::with("[watch]\nmode = \"native\"\nrescan = \"1h\"\npoll_interval = \"1h\"\n").await;
    let (path, away) = (bench.brand(OWN), bench.folder.path().join("away"));
    let mut intake = intake_of(&bench).await;
    // the discovery, and the registration of the folder that it found
    for _ in 0..2 {
        intake.step().await.unwrap();
        let done = intake.next_scan().expect("something to do").await;
        intake.end(done).unwrap();
    }
    intake.step().await.unwrap();
    let look = intake.next_scan().expect("a look at the folder").await;
    fs::rename(&path, &away).unwrap();
    fs::create_dir(&path).unwrap();
    intake.step().await.unwrap();
    intake.end(look).unwrap();
    // what was moved away and what is there now is found
    settle(&mut intake).await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    let seen = async {
        while bench.rows().await.is_empty() {
            intake.step().await.unwrap();
            while let Some(scan) = intake.next_scan() {
                intake.end(scan.await).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("an event tells of the file");
}
