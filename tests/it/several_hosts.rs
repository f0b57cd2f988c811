//! Several hosts that share the brands by way of one PostgreSQL server.

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use brandpost::domain::clock::ManualClock;
use brandpost::domain::failure::ErrorKind;
use brandpost::domain::upload::State;
use brandpost::ledger::{Ledger, StatusRow};

use crate::support::pictures::jpg;
use crate::support::postgres::{Cluster, cluster, name_of};
use crate::support::process::Process;
use crate::support::{Bench, OTHER, OWN, in_inbox, names_in_state, write_private};

/// A host whose ledger is a new database; `None`, said loudly, without PostgreSQL.
async fn host(inbox: &str, test: &str) -> Option<(Bench, &'static Cluster)> {
    let cluster = cluster(&format!("several_hosts::{test}"))?;
    let mut bench = Bench::new().await;
    bench.server = Some(cluster.database());
    bench.configure(&in_inbox(inbox));
    Some((bench, cluster))
}

/// The command line, without its colours.
fn run(bench: &Bench, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brandpost"));
    command.arg("--config").arg(bench.config()).args(args).env("LC_ALL", "C.UTF-8").output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn of_inbox<'a>(rows: &'a [StatusRow], inbox: &str) -> Vec<&'a StatusRow> {
    rows.iter().filter(|row| row.inbox == inbox).collect()
}

/// The database's time goes on: an inbox has not been heard of for so long.
fn not_heard_of(cluster: &Cluster, bench: &Bench, inbox: &str, ago: &str) {
    let sql = format!(
        "UPDATE inbox SET seen_at = brandpost_time('-{ago}'), lease_until = brandpost_time('-{ago}') WHERE name = '{inbox}'"
    );
    cluster.run(name_of(bench.server.as_ref().unwrap()), &sql);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_share_the_slots_of_a_brand() {
    let Some((mut first, _)) = host("hz-1", "two_hosts_share_the_slots_of_a_brand").await else { return };
    let mut second = first.another_host("hz-2").await;
    first.start().await;
    second.start().await;
    for number in 0..7 {
        // the same names on both, and other pictures
        first.drop_file(OWN, format!("{number}.jpg"), &jpg(number));
        second.drop_file(OWN, format!("{number}.jpg"), &jpg(100 + number));
    }
    let all = |rows: &[StatusRow]| rows.len() == 14 && rows.iter().all(|row| !row.state.is_pending());
    first.until("all have ended", all).await;
    let rows = first.rows().await;
    let slots: BTreeSet<_> = rows.iter().filter_map(|row| row.slot).collect();
    assert_eq!((slots.len(), first.sandbox.objects().len()), (10, 10), "{rows:#?}");
    let refused: Vec<_> = rows.iter().filter(|row| row.state == State::Rejected).collect();
    assert!(refused.iter().all(|row| row.error_kind == Some(ErrorKind::LimitReached)), "{refused:#?}");
    assert_eq!((of_inbox(&rows, "hz-1").len(), of_inbox(&rows, "hz-2").len(), refused.len()), (7, 7, 4));
    // a slot that one host frees goes to the oldest that waits, whosever it is
    let taken = rows.iter().find(|row| row.slot == Some(3)).unwrap();
    let (brand, _) = first.ledger().report().brand(taken.brand()).await.unwrap().unwrap();
    first.ledger().release(brand, &[3]).await.unwrap();
    first
        .until("the slot is taken again", |rows| {
            rows.iter().any(|row| row.slot == Some(3) && row.state == State::Uploaded && row.id != taken.id)
        })
        .await;
    // nothing of one host is looked for on the other
    second.stop().await;
    second.start().await;
    second.quiet().await;
    assert_eq!(names_in_state(&first.rows().await, State::Gone), [""; 0]);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_picture_on_two_hosts_is_one_object_and_the_other_names_it() {
    let Some((mut first, _)) = host("hz-1", "the_same_picture_on_two_hosts").await else { return };
    let mut second = first.another_host("hz-2").await;
    first.start().await;
    second.start().await;
    first.drop_file(OWN, "front.jpg", &jpg(1));
    first.until_state("front.jpg", State::Uploaded).await;
    second.drop_file(OWN, "again.jpg", &jpg(1));
    let copy = first.until_state("again.jpg", State::Rejected).await;
    assert_eq!(
        copy.error_message.as_deref(),
        Some("the same picture is there already as front.jpg in the inbox hz-1")
    );
    assert_eq!((first.sandbox.objects().len(), copy.inbox.as_str()), (1, "hz-2"));
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_and_the_keeper_that_comes_back_commits_nothing() {
    let test = "a_standby_takes_over_and_the_keeper_that_comes_back_commits_nothing";
    let Some((bench, cluster)) = host("share", test).await else { return };
    let brand = bench.brand(OWN);
    let keeper = Process::start(&bench);
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    until(|| async { bench.counts_so_far().await.of(State::Uploaded) == 1 }).await;
    keeper.signal("STOP");
    // as it is, the other one stands by
    let address = free_address();
    let watch = in_inbox("share");
    bench.configure(&format!(
        "{watch}[http]\nlisten = \"{address}\"\n[database]\npath = \"of-another-host/x.db\"\n"
    ));
    std::fs::create_dir(bench.folder.path().join("of-another-host")).unwrap();
    let standby = Process::with(&bench, &[]);
    let ready = || async { get(&address, "/readyz").await.unwrap_or_default() };
    until(|| async { ready().await.contains("the inbox share is kept by the daemon on") }).await;
    assert!(ready().await.starts_with("HTTP/1.1 503"), "{}", ready().await);
    std::fs::write(brand.join("2.jpg"), jpg(2)).unwrap();
    // the keeper's lease ends
    not_heard_of(cluster, &bench, "share", "1 second");
    until(|| async { bench.counts_so_far().await.of(State::Uploaded) == 2 }).await;
    until(|| async { ready().await.starts_with("HTTP/1.1 200") }).await;
    let before = epoch(cluster, &bench);
    keeper.signal("CONT");
    std::fs::write(brand.join("3.jpg"), jpg(3)).unwrap();
    until(|| async { bench.counts_so_far().await.of(State::Uploaded) == 3 }).await;
    // the one that came back stands by now, and says why
    let log = bench.folder.path().join("daemon.log");
    until(|| async { std::fs::read_to_string(&log).unwrap().contains("is kept by another daemon now") })
        .await;
    assert_eq!(epoch(cluster, &bench), before);
    for slot in 1..=3 {
        let key = format!("qualification/OWNBRAND/1001/{slot}.jpg");
        let puts = bench.puts().iter().filter(|put| put.path.ends_with(&key)).count();
        assert_eq!(puts, 1, "{key} is sent once");
    }
    // and takes over at once when the other one ends as it should
    drop(standby);
    not_heard_of(cluster, &bench, "share", "1 second");
    std::fs::write(brand.join("4.jpg"), jpg(4)).unwrap();
    until(|| async { bench.counts_so_far().await.of(State::Uploaded) == 4 }).await;
    keeper.kill();
}

fn epoch(cluster: &Cluster, bench: &Bench) -> String {
    cluster.run(name_of(bench.server.as_ref().unwrap()), "SELECT epoch FROM inbox WHERE name = 'share'")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_away_keeps_its_slots_until_it_is_retired() {
    let test = "a_host_that_is_away_keeps_its_slots_until_it_is_retired";
    let Some((mut first, cluster)) = host("hz-1", test).await else { return };
    let mut second = first.another_host("hz-2").await;
    first.start().await;
    first.drop_file(OWN, "sent.jpg", &jpg(1));
    first.until_state("sent.jpg", State::Uploaded).await;
    first.ledger().suspend("").await.unwrap();
    first.drop_file(OWN, "waits.jpg", &jpg(2));
    first.until_state("waits.jpg", State::Queued).await;
    first.crash().await;
    not_heard_of(cluster, &first, "hz-1", "10 minutes");
    second.start().await;
    second.ledger().resume().await.unwrap();
    second.drop_file(OWN, "mine.jpg", &jpg(3));
    let mine = second.until_state("mine.jpg", State::Uploaded).await;
    assert_eq!(mine.slot, Some(3), "the slots of the host that is away stay taken");
    assert_eq!(second.row("waits.jpg").await.state, State::Queued, "nothing fails by waiting");
    second.ledger().note_hosts_away(jiff::SignedDuration::from_mins(5)).await.unwrap();
    let notices = second.ledger().report().notices().await.unwrap();
    let away = &notices.first().expect("it is said").message;
    assert!(away.contains("1 files wait for host") && away.contains("inbox hz-1"), "{away}");
    let listed = said(&run(&second, &["inboxes"]));
    assert!(listed.contains("hz-1") && listed.contains("away") && listed.contains("at work"), "{listed}");
    let kept = run(&second, &["inboxes", "retire", "hz-2"]);
    assert!(said(&kept).contains("stop that first") && kept.status.code() == Some(1), "{}", said(&kept));
    let retired = run(&second, &["inboxes", "retire", "hz-1"]);
    assert!(said(&retired).contains("1 files are gone"), "{}", said(&retired));
    let (sent, waits) = (second.row("sent.jpg").await, second.row("waits.jpg").await);
    assert_eq!(
        (sent.state, sent.slot, waits.state, waits.slot),
        (State::Uploaded, Some(1), State::Gone, None)
    );
    // a host that comes back after all begins anew: its file is a new one
    first.start().await;
    let waits = first.until_state("waits.jpg", State::Uploaded).await;
    assert_eq!(waits.slot, Some(2));
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_do_not_agree_on_the_number_of_slots_are_told_so() {
    let test = "hosts_that_do_not_agree_on_the_number_of_slots_are_told_so";
    let Some((mut first, _)) = host("hz-1", test).await else { return };
    let second = first.another_host("hz-2").await;
    first.start().await;
    second.configure(&format!("{}[images]\nmax_per_brand = 5\n", in_inbox("hz-2")));
    let refused = run(&second, &["run", "--once"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("has 5 slots on this host, and 10 on"), "{}", said(&refused));
    assert!(said(&refused).contains("(inbox hz-1)"), "{}", said(&refused));
    // a brand of its own folder, too
    first.drop_file(OWN, "1.jpg", &jpg(1));
    first.until_state("1.jpg", State::Uploaded).await;
    let folder = second.folder.path().join("elsewhere");
    std::fs::create_dir(&folder).unwrap();
    let mapped =
        format!("[[brand]]\ntype = \"OWNBRAND\"\nid = 1001\npath = \"{}\"\nmax = 3\n", folder.display());
    second.configure(&(in_inbox("hz-2") + &mapped));
    let refused = run(&second, &["run", "--once"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("OWNBRAND/1001 has 3 slots on this host, and 10 on"),
        "{}",
        said(&refused)
    );
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_off_all_connections_again_and_again_loses_nothing() {
    let test = "a_server_that_breaks_off_all_connections_again_and_again_loses_nothing";
    let Some((mut bench, cluster)) = host("hz-1", test).await else { return };
    bench.start().await;
    let database = name_of(bench.server.as_ref().unwrap()).to_owned();
    for round in 0..10u8 {
        for brand in [OWN, OTHER] {
            bench.drop_file(brand, format!("{round}.jpg"), &jpg(round * 2 + u8::from(brand == OWN)));
        }
        cluster.disconnect(&database);
        tokio::time::sleep(Duration::from_millis(50)).await;
        cluster.disconnect(&database);
    }
    let sent = async || loop {
        if let Ok(report) = brandpost::ledger::Report::open(bench.location()).await
            && report.counts(None).await.is_ok_and(|counts| counts.of(State::Uploaded) == 20)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    tokio::time::timeout(Duration::from_mins(1), sent()).await.expect("all 20 are uploaded");
    assert_eq!(bench.sandbox.objects().len(), 20);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_moves_from_its_file_to_a_server() {
    let test = "a_ledger_moves_from_its_file_to_a_server";
    let Some(cluster) = cluster(&format!("several_hosts::{test}")) else { return };
    let mut bench = Bench::new().await;
    bench.server = None;
    bench.configure(&in_inbox("hz-1"));
    bench.start().await;
    for number in 0..12 {
        bench.drop_file(OWN, format!("{number}.jpg"), &jpg(number));
    }
    bench.drop_file(OTHER, "text.jpg", b"no picture");
    bench.quiet().await;
    let url = cluster.database();
    let busy = run(&bench, &["database", "copy", "--to", &url]);
    assert!(busy.status.code() == Some(1) && said(&busy).contains("stop it first"), "{}", said(&busy));
    bench.stop().await;
    let (rows, puts) = (bench.rows().await, bench.puts().len());
    let moved = run(&bench, &["database", "copy", "--to", &url]);
    assert!(moved.status.success(), "{}", said(&moved));
    assert!(!bench.database().exists(), "two masters must not run");
    bench.server = Some(url.clone());
    bench.configure(&in_inbox("hz-1"));
    assert_eq!(bench.rows().await, rows);
    bench.start().await;
    bench.quiet().await;
    bench.drop_file(OTHER, "new.jpg", &jpg(50));
    let new = bench.until_state("new.jpg", State::Uploaded).await;
    assert!(rows.iter().all(|row| row.id < new.id), "ids are not given twice");
    assert_eq!(bench.puts().len(), puts + 1, "nothing is sent again");
    bench.stop().await;
    // a second time there is no file; and a database that holds something is left alone
    let again = run(&bench, &["database", "copy", "--to", &url]);
    assert!(said(&again).contains("there is none"), "{}", said(&again));
    let mut other = Bench::new().await;
    other.server = None;
    other.configure("");
    other.start().await;
    other.stop().await;
    let full = run(&other, &["database", "copy", "--to", &url]);
    assert!(said(&full).contains("holds a ledger already") && other.database().exists(), "{}", said(&full));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_server_is_said_in_one_sentence() {
    let test = "what_is_wrong_with_a_server_is_said_in_one_sentence";
    let Some((mut bench, cluster)) = host("hz-1", test).await else { return };
    let name = name_of(bench.server.as_ref().unwrap()).to_owned();
    let port = cluster.port;
    cluster.run(&name, "ALTER ROLE brandpost PASSWORD 'right-horse'; CREATE SCHEMA brandpost; CREATE TABLE brandpost.theirs (x INT)");
    cluster.run("postgres", "CREATE ROLE stranger LOGIN");
    let password = bench.folder.path().join("password");
    let ca = format!("[network]\nca_file = \"{}\"\n", cluster.folder.join("ca.pem").display());
    let mut checked = 0;
    for (url, secret, network, expected) in [
        (format!("postgres://localhost:{port}/{name}"), "right-horse", &*ca, "tables of something else"),
        (
            format!("postgres://localhost:{port}/{name}"),
            "wrong-horse",
            &ca,
            "does not accept the role or its password",
        ),
        (format!("postgres://localhost:{port}/{name}"), "right-horse", "", "cannot be secured"),
        (format!("postgres://127.0.0.1:{port}/{name}"), "right-horse", &ca, "cannot be secured"),
        (format!("postgres://localhost:{port}/nowhere"), "right-horse", &ca, "there is no database nowhere"),
        ("postgres://localhost:1/x".into(), "right-horse", &ca, "the server cannot be reached"),
        (format!("postgres:///{name}?host=/nowhere"), "right-horse", &ca, "the server cannot be reached"),
        (cluster.url("postgres").replace("user=brandpost", "user=stranger"), "x", &ca, "lacks a right"),
    ] {
        write_private(&password, secret);
        bench.server = None;
        bench.configure(&format!("{network}[database]\nurl = \"{url}\"\npassword_file = \"password\"\n"));
        let refused = run(&bench, &["run", "--once"]);
        let reason = said(&refused);
        assert_eq!(refused.status.code(), Some(1), "{url}: {reason}");
        assert!(reason.contains(expected), "{url}: {reason}");
        assert!(!reason.contains("horse"), "{url}: a password is shown: {reason}");
        assert_eq!(reason.trim().lines().count(), 1, "{url}: {reason}");
        checked += 1;
    }
    assert_eq!(checked, 8);
    // with all of it right, over the network
    let mine = cluster.database();
    let url = format!("postgres://localhost:{port}/{}", name_of(&mine));
    write_private(&password, "right-horse");
    bench.configure(&format!("{ca}[database]\nurl = \"{url}\"\npassword_file = \"password\"\n"));
    let once = run(&bench, &["run", "--once"]);
    assert!(once.status.success(), "{}", said(&once));
    let check = said(&run(&bench, &["check"]));
    assert!(check.contains("PostgreSQL ") && check.contains("has no keeper"), "{check}");
    cluster.run("postgres", &format!("ALTER DATABASE {} SET synchronous_commit = off", name_of(&mine)));
    let check = said(&run(&bench, &["check"]));
    assert!(check.contains("synchronous_commit is off: what was acknowledged may be lost"), "{check}");
    let dump = run(&bench, &["backup", "copy.db"]);
    assert!(
        said(&dump).contains("pg_dump --host='localhost'") && dump.status.code() == Some(1),
        "{}",
        said(&dump)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_schemas_have_the_same_tables() {
    let Some((bench, cluster)) = host("hz-1", "both_schemas_have_the_same_tables").await else { return };
    Ledger::open(bench.location(), bench.clock.clone()).await.unwrap().close().await;
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("x.db");
    Ledger::open(&path, bench.clock.clone()).await.unwrap().close().await;
    let server = cluster.run(
        name_of(bench.server.as_ref().unwrap()),
        "SELECT table_name || '.' || column_name || ' ' || CASE data_type WHEN 'bigint' THEN 'INTEGER' WHEN 'text' THEN 'TEXT' ELSE 'BLOB' END
                || CASE WHEN is_nullable = 'NO' THEN ' needed' ELSE '' END
         FROM information_schema.columns WHERE table_schema = 'brandpost' AND table_name NOT LIKE '\\_sqlx%'",
    );
    let url = format!("sqlite://{}", path.display());
    let mut sqlite = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT m.name || '.' || c.name || ' ' || CASE m.type WHEN 'view' THEN '' ELSE c.type END
                || CASE WHEN c.\"notnull\" OR c.pk THEN ' needed' ELSE '' END
         FROM sqlite_schema m JOIN pragma_table_info(m.name) c
         WHERE m.type IN ('table', 'view') AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite%'",
    )
    .fetch_all(&mut sqlite)
    .await
    .unwrap();
    let views = ["upload_status", "brand_summary", "attempt_log", "inbox_status"];
    let without_type = |line: &str| {
        let is_view = views.iter().any(|view| line.starts_with(&format!("{view}.")));
        if is_view { line.split(' ').next().unwrap().to_owned() } else { line.to_owned() }
    };
    let mut server: BTreeSet<_> = server.lines().map(without_type).collect();
    let sqlite: BTreeSet<_> = columns.iter().map(|line| without_type(line)).collect();
    // what only a server needs
    for own in [
        "brand.version INTEGER needed",
        "next_upload.id INTEGER needed",
        "alert_order.id INTEGER needed",
        "upload.path_sha256 BLOB",
        "mount_point.path_sha256 BLOB needed",
        "reading.path_sha256 BLOB needed",
    ] {
        assert!(server.remove(own), "{own}");
    }
    assert_eq!(server, sqlite);
}

async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    waited.await.expect("it comes true in time");
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

async fn get(address: &str, path: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_clock_is_an_hour_off_is_like_the_others() {
    let test = "a_host_whose_clock_is_an_hour_off_is_like_the_others";
    let Some((mut first, _)) = host("hz-1", test).await else { return };
    let mut second = first.another_host("hz-2").await;
    let now = first.clock.now();
    second.clock = Arc::new(ManualClock::new(now + jiff::SignedDuration::from_hours(1)));
    first.start().await;
    second.start().await;
    first.drop_file(OWN, "1.jpg", &jpg(1));
    second.drop_file(OWN, "2.jpg", &jpg(2));
    first.until("both are sent", |rows| names_in_state(rows, State::Uploaded).len() == 2).await;
    for row in first.rows().await {
        let times = [Some(&row.detected_at), row.uploaded_at.as_ref(), Some(&row.updated_at)];
        for time in times.into_iter().flatten() {
            let time: jiff::Timestamp = time.parse().unwrap();
            assert!(time.duration_since(now).as_secs().abs() < 300, "the server's clock counts: {row:#?}");
        }
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_folder_has_no_label_takes_nobody_s_label_away() {
    let test = "a_host_whose_folder_has_no_label_takes_nobody_s_label_away";
    let Some((mut first, _)) = host("hz-1", test).await else { return };
    let mut second = first.another_host("hz-2").await;
    let label = async |bench: &Bench| {
        let brands = bench.report().await.brands(None, None, None).await.unwrap();
        brands.iter().find_map(|brand| brand.label.clone())
    };
    first.start().await;
    first.drop_file("OWNBRAND/1001-海尔", "1.jpg", &jpg(1));
    first.until_state("1.jpg", State::Uploaded).await;
    assert_eq!(label(&first).await.as_deref(), Some("海尔"));
    second.start().await;
    second.drop_file("OWNBRAND/1001", "2.jpg", &jpg(2));
    let row = second.until_state("2.jpg", State::Uploaded).await;
    second.quiet().await;
    assert_eq!(
        (label(&second).await.as_deref(), row.slot),
        (Some("海尔"), Some(2)),
        "one brand, and its label"
    );
    // a label of its own counts, as the last word
    std::fs::rename(second.brand("OWNBRAND/1001"), second.folder.path().join("inbox/OWNBRAND/1001 Haier"))
        .unwrap();
    until(|| async { label(&second).await.as_deref() == Some("Haier") }).await;
    first.stop().await;
    second.stop().await;
}
