//! A file's way, from the folder to OSS.

use std::io::Write;

use brandpost::domain::brand::Outcome;
use brandpost::domain::failure::ErrorKind;
use brandpost::domain::upload::State;
use sandbox::verify::SignatureKind;

use crate::support::pictures::{gif, jpg, png};
use crate::support::{Bench, OTHER, OWN, names_in_state, touch};

#[tokio::test(flavor = "multi_thread")]
async fn pictures_dropped_before_and_after_the_start_arrive_byte_for_byte() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "图 片 1.png", &png(1));
    bench.drop_file(OWN, "b+c.gif", &gif(2));
    bench.start().await;
    bench.until_state("b+c.gif", State::Uploaded).await;
    bench.until_state("图 片 1.png", State::Uploaded).await;
    bench.drop_file(OWN, "c.JPEG", &jpg(3));
    bench.drop_file(OTHER, "d", &png(4));
    bench.until_state("c.JPEG", State::Uploaded).await;
    bench.until_state("d", State::Uploaded).await;
    bench.stop().await;

    assert_eq!(bench.object("qualification/OWNBRAND/1001/1.gif"), gif(2));
    assert_eq!(bench.object("qualification/OWNBRAND/1001/2.png"), png(1));
    assert_eq!(bench.object("qualification/OWNBRAND/1001/3.jpg"), jpg(3));
    assert_eq!(bench.object("qualification/OTHERBRAND/2002/1.png"), png(4));
    let puts = bench.puts();
    assert_eq!(puts.len(), 4, "exactly one PUT a file");
    assert!(
        puts.iter().all(|put| put.outcome == "ok" && put.signature == Some(SignatureKind::V4)),
        "{puts:#?}"
    );
    assert_eq!(bench.gateway_calls(), 4);
    for put in puts {
        let (key, slot) = (put.key.unwrap(), put.slot.unwrap());
        assert!(
            key.contains(&format!("{}/{}/{}.", slot.kind, slot.id, slot.index)),
            "{key} with the token of {slot:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_row_says_everything() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "front.JPG", &jpg(1));
    bench.once().await;
    let row = bench.row("front.JPG").await;
    assert_eq!((row.state.as_str(), row.slot, row.revision, row.attempts), ("uploaded", Some(1), 1, 1));
    assert_eq!((row.suffix.as_deref(), row.width, row.height), (Some("jpg"), Some(40), Some(30)));
    let url = "http://iotx-industry.oss-cn-hangzhou.aliyuncs.com/qualification/OWNBRAND/1001/1.jpg";
    assert_eq!(row.object_url.as_deref(), Some(url));
    let object = &bench.sandbox.objects()["qualification/OWNBRAND/1001/1.jpg"];
    assert_eq!(row.sha256.as_ref(), Some(&object.sha256_hex));
    assert_eq!(row.etag.unwrap().to_lowercase(), object.md5_hex.to_lowercase());
    assert!(row.request_id.is_some() && row.error_kind.is_none() && row.next_attempt_at.is_none());
    let attempts = bench.report().await.attempts(row.id).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome, Some(Outcome::Uploaded));
    assert_eq!(attempts[0].bytes, Some(row.size_bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn touching_and_renaming_send_nothing_new_content_is_a_revision() {
    let mut bench = Bench::new().await;
    let path = bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.until_state("a.jpg", State::Uploaded).await;

    touch(&path);
    bench.seen(OWN).await;
    assert_eq!(bench.puts().len(), 1, "a touched file is not sent again");

    let renamed = path.with_file_name("b.jpg");
    std::fs::rename(&path, &renamed).unwrap();
    bench.until_state("b.jpg", State::Uploaded).await;
    bench.seen(OWN).await;
    assert_eq!(bench.puts().len(), 1, "a rename sends nothing");
    assert_eq!(bench.row("b.jpg").await.slot, Some(1));

    bench.drop_file(OWN, "b.jpg", &jpg(9));
    bench
        .until("revision 2", |rows| rows.iter().any(|row| row.revision == 2 && row.state == State::Uploaded))
        .await;
    let row = bench.row("b.jpg").await;
    assert_eq!((row.slot, row.revision), (Some(1), 2));
    assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), jpg(9));
    assert_eq!(bench.puts().len(), 2);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_or_sent_again_after_a_restart() {
    let mut bench = Bench::new().await;
    for seed in 1..=3 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
    }
    bench.once().await;
    let before = bench.rows().await;
    bench.once().await;
    assert_eq!(bench.puts().len(), 3);
    assert_eq!(bench.rows().await, before, "not even the rows are touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_files_have_a_reason_and_take_no_slot() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "text.png", b"hello");
    bench.drop_file(OWN, "empty.jpg", b"");
    bench.drop_file(OWN, "cut.jpg", &jpg(1)[..300]);
    bench.drop_file(OWN, "phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    std::os::unix::fs::symlink("text.png", bench.brand(OWN).join("link.jpg")).unwrap();
    bench.once().await;
    let rows = bench.rows().await;
    assert_eq!(names_in_state(&rows, State::Rejected).len(), 5, "{rows:#?}");
    let kind = |name: &str| rows.iter().find(|row| row.file_name == name).unwrap().error_kind.unwrap();
    let expected = [
        ("text.png", ErrorKind::UnsupportedFormat),
        ("empty.jpg", ErrorKind::DamagedImage),
        ("cut.jpg", ErrorKind::DamagedImage),
        ("phone.heic", ErrorKind::UnsupportedFormat),
        ("link.jpg", ErrorKind::NotAFile),
    ];
    for (name, expected) in expected {
        assert_eq!(kind(name), expected, "{name}");
    }
    assert!(rows.iter().all(|row| row.slot.is_none() && row.error_message.is_some()));
    assert_eq!(bench.sandbox.requests().len(), 0, "no cloud is asked about a file that we refuse");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_suffix_is_corrected() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.png", &jpg(1));
    bench.once().await;
    assert_eq!(bench.row("a.png").await.suffix.as_deref(), Some("jpg"));
    assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), jpg(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn uploaded_files_move_to_the_archive_or_are_deleted() {
    for (after, left) in [("archive", true), ("delete", false)] {
        let mut bench = Bench::with(&format!("[upload]\nafter = \"{after}\"\n")).await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.drop_file(OWN, "broken.jpg", b"no picture");
        bench.start().await;
        bench.until_state("a.jpg", State::Uploaded).await;
        bench.quiet().await;
        let path = bench.brand(OWN);
        let gone = async {
            while path.join("a.jpg").exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.unwrap();
        bench.stop().await;
        assert!(path.join("broken.jpg").exists(), "what was not uploaded stays");
        assert_eq!(bench.folder.path().join("archive/OWNBRAND/1001/a.jpg").exists(), left);
        let row = bench.row("a.jpg").await;
        assert_eq!((row.state.as_str(), row.slot), ("uploaded", Some(1)));
    }
}

/// Who goes on dropping files keeps others waiting for their turn by name; what was refused and is not there any more is
/// not kept for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_file_that_is_deleted_is_gone_although_another_is_being_copied() {
    let mut bench = Bench::with("[watch]\nsettle = \"1m\"\ngrace = \"100ms\"\n").await;
    bench.brand(OWN);
    bench.start().await;
    bench.quiet().await;
    let junk = bench.drop_file(OWN, "junk.txt", b"no picture");
    bench.until_state("junk.txt", State::Rejected).await;
    let mut copy = std::fs::File::create(bench.brand(OWN).join("a.jpg")).unwrap();
    copy.write_all(&jpg(1)[..10]).unwrap();
    bench.drop_file(OWN, "b.jpg", &jpg(2));
    std::fs::remove_file(junk).unwrap();
    bench.until_state("junk.txt", State::Gone).await;
    assert!(bench.rows().await.iter().all(|row| row.file_name != "b.jpg"), "it waits for a.jpg");
    drop(copy);
    bench.stop().await;
}
