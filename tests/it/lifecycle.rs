//! Stopping and crashing.

use brandpost::domain::brand::Outcome;
use brandpost::domain::failure::ErrorKind;
use std::fs;

use brandpost::domain::upload::State;
use sandbox::{Fault, FaultAction};

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN};

async fn in_mid_upload(bench: &mut Bench) {
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(Fault::oss(FaultAction::Hang).times(1));
    bench.start().await;
    bench.until_state("a.jpg", State::Uploading).await;
    bench.until("OSS has the request", |_| bench.puts().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_at_once_puts_the_file_back_into_the_queue() {
    let mut bench = Bench::new().await;
    in_mid_upload(&mut bench).await;
    bench.stop_now().await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.slot, row.attempts), ("queued", Some(1), 0));
    let attempts = bench.report().await.attempts(row.id).await.unwrap();
    assert_eq!(attempts[0].outcome, Some(Outcome::Interrupted));
    bench.once().await;
    assert_eq!(bench.row("a.jpg").await.state, State::Uploaded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_stop_lets_uploads_end() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(Fault::oss(FaultAction::Delay { ms: 300 }).times(1));
    bench.start().await;
    bench.until("OSS has the request", |_| bench.puts().len() == 1).await;
    bench.stop().await;
    assert_eq!(bench.row("a.jpg").await.state, State::Uploaded);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_uploading_is_sent_after_the_start() {
    let mut bench = Bench::new().await;
    in_mid_upload(&mut bench).await;
    bench.crash().await;
    assert_eq!(bench.row("a.jpg").await.state, State::Uploading);
    bench.once().await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.slot), ("uploaded", Some(1)));
    assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), jpg(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_do_not_share_a_database() {
    let mut bench = Bench::new().await;
    bench.start().await;
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_brandpost"))
        .arg("--config")
        .arg(bench.config())
        .args(["run", "--once"])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = format!("another brandpost (process {}) works with", std::process::id());
    assert!(String::from_utf8_lossy(&second.stderr).contains(&said), "{second:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_an_idle_daemon_with_0_every_time() {
    let bench = Bench::new().await;
    for _ in 0..12 {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_brandpost"))
            .arg("--config")
            .arg(bench.config())
            .arg("run")
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("started") {
            line.clear();
            assert!(
                std::io::BufRead::read_line(&mut log, &mut line).unwrap() > 0,
                "it ended before it started"
            );
        }
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success(), "{}", std::io::read_to_string(log).unwrap());
    }
}

const SMALL: &str = "[images]\nmax_bytes = \"100B\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_puts_the_new_configuration_in_force_and_lets_uploads_end() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(Fault::oss(FaultAction::Delay { ms: 300 }).times(1));
    bench.start().await;
    bench.until("OSS has the request", |_| bench.puts().len() == 1).await;
    bench.configure(SMALL);
    bench.reload();
    bench.until_state("a.jpg", State::Uploaded).await;
    bench
        .until("too large now", |rows| {
            bench.drop_file(OWN, format!("{}.jpg", rows.len()), &jpg(9));
            rows.iter().any(|row| row.error_kind == Some(ErrorKind::TooLarge))
        })
        .await;
    bench.stop().await;
    assert_eq!(bench.row("a.jpg").await.attempts, 1, "it was not broken off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_refused_and_the_old_one_stays() {
    let mut bench = Bench::new().await;
    bench.start().await;
    bench.quiet().await;
    let good = fs::read_to_string(bench.config()).unwrap();
    let bad = [
        good.replace("[limits]\n", "[limits]\nconcurency = 4\n"),
        format!("{good}[database]\npath = \"other.db\"\n"),
        format!("{good}[network]\nca_file = \"none.pem\"\n"),
    ];
    for (seed, bad) in (1..).zip(bad) {
        fs::write(bench.config(), bad + SMALL).unwrap();
        bench.reload();
        bench.seen(OWN).await;
        let name = format!("{seed}.jpg");
        bench.drop_file(OWN, &name, &jpg(seed));
        bench.until_state(&name, State::Uploaded).await;
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_root_is_waited_for() {
    let mut bench = Bench::with("[watch]\nsettle = \"100ms\"\npoll_interval = \"200ms\"\n").await;
    fs::remove_dir(bench.folder.path().join("inbox")).unwrap();
    bench.start().await;
    let mut intake = bench.intake();
    intake.wait_for(|progress| progress.discovered && progress.unreadable > 0).await.unwrap();
    assert!(bench.report().await.notices().await.unwrap()[0].message.contains("is not there"));
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.stop().await;
}
