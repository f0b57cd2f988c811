//! Alerts: what is told to whom, how often, and that nothing of it is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::routing::post;
use brandpost::domain::clock::ManualClock;
use brandpost::domain::upload::State;
use sandbox::{Fault, FaultAction};
use serde_json::Value;

use crate::crash::wait_for;
use crate::support::pictures::jpg;
use crate::support::{Bench, OWN};

/// A robot that keeps what it is told.
#[derive(Clone, Default)]
struct Robot {
    told: Arc<Mutex<Vec<(String, Value)>>>,
    /// What it answers; nothing: 500.
    answer: Arc<Mutex<Option<&'static str>>>,
}

impl Robot {
    async fn start(answer: Option<&'static str>) -> (Self, String) {
        let robot = Self { answer: Arc::new(Mutex::new(answer)), ..Self::default() };
        let (told, answer) = (robot.told.clone(), robot.answer.clone());
        let hear = move |RawQuery(query): RawQuery, body: String| async move {
            told.lock().unwrap().push((query.unwrap_or_default(), serde_json::from_str(&body).unwrap()));
            match *answer.lock().unwrap() {
                Some(answer) => (StatusCode::OK, answer),
                None => (StatusCode::INTERNAL_SERVER_ERROR, ""),
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/robot/send?access_token=very-secret", listener.local_addr().unwrap());
        tokio::spawn(
            async move { axum::serve(listener, Router::new().route("/robot/send", post(hear))).await },
        );
        (robot, url)
    }

    fn told(&self) -> Vec<(String, Value)> {
        self.told.lock().unwrap().clone()
    }

    async fn until(&self, count: usize) {
        wait_for("an alert", async || self.told().len() >= count).await;
    }
}

fn config(url: &str, rest: &str) -> String {
    format!("[alerts]\nwebhook = \"{url}\"\nmin_interval = \"300ms\"\n{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_files_are_told_together_and_once() {
    let (robot, url) = Robot::start(Some("")).await;
    let mut bench = Bench::with(&config(&url, "")).await;
    bench.start().await;
    bench.quiet().await;
    for number in 1..=7 {
        bench.drop_file(OWN, format!("{number}.jpg"), format!("text {number}").as_bytes());
    }
    bench
        .until("all are rejected", |rows| rows.iter().filter(|row| row.state == State::Rejected).count() == 7)
        .await;
    let count = || robot.told().iter().map(|(_, told)| told["rejected"].as_u64().unwrap()).sum::<u64>();
    wait_for("all are told", async || count() == 7).await;
    let told = robot.told();
    assert!(told.len() <= 3, "together, not one by one: {told:#?}");
    let (_, first) = &told[0];
    assert_eq!(first["files"][0]["error_kind"], "unsupported_format");
    assert!(
        first["files"].as_array().unwrap().len() <= 5 && first["text"].as_str().unwrap().contains("rejected")
    );
    // what goes well is told to nobody
    bench.drop_file(OWN, "good.jpg", &jpg(1));
    bench.until_state("good.jpg", State::Uploaded).await;
    bench.drop_file(OWN, "8.jpg", b"text 8");
    wait_for("the next", async || count() == 8).await;
    assert!(!format!("{:?}", robot.told()).contains("good.jpg"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_and_its_end_are_told_in_chinese_with_a_signature() {
    let (robot, url) = Robot::start(Some(r#"{"errcode":0}"#)).await;
    let mut bench = Bench::with(&config(&url, "kind = \"dingtalk\"\nsecret = \"SEC123\"\n")).await;
    let down =
        FaultAction::Status { status: 503, body: String::new(), headers: std::collections::BTreeMap::new() };
    bench.sandbox.fault(Fault::gateway(down));
    bench.start().await;
    bench.quiet().await;
    for seed in 1..=6 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
    }
    robot.until(1).await;
    let (query, first) = robot.told()[0].clone();
    assert!(
        first["text"]["content"].as_str().unwrap().contains("【故障】云端暂时收不了图片，上传已自动暂停"),
        "{first}"
    );
    assert!(query.contains("access_token=very-secret&timestamp=") && query.contains("&sign="), "{query}");
    bench.sandbox.clear_faults();
    bench.quiet().await;
    robot.until(2).await;
    assert!(robot.told()[1].1["text"]["content"].as_str().unwrap().contains("【恢复】上传已恢复"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_cannot_be_sent_is_kept() {
    let (robot, url) = Robot::start(None).await;
    let mut bench = Bench::with(&config(&url, "")).await;
    bench.start().await;
    bench.quiet().await;
    bench.drop_file(OWN, "1.jpg", b"text");
    robot.until(2).await;
    *robot.answer.lock().unwrap() = Some("");
    bench.drop_file(OWN, "2.jpg", b"another text");
    let both = |told: &Value| told["rejected"] == 2;
    wait_for("both", async || robot.told().last().is_some_and(|(_, told)| both(told))).await;
    let heard = robot.told().len();
    bench.seen(OWN).await;
    tokio::time::timeout(Duration::from_secs(20), robot.until(heard + 1)).await.unwrap();
    assert_eq!(robot.told().last().unwrap().1["rejected"], 1, "only the new one");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_the_operators_is_told() {
    let mut bench = Bench::new().await;
    let (script, out) = (bench.folder.path().join("tell"), bench.folder.path().join("told"));
    fs::write(&script, format!("#!/bin/sh\ncat > {0}.part && mv {0}.part {0}\n", out.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    bench.configure(&format!("[alerts]\ncommand = [\"{}\"]\nmin_interval = \"300ms\"\n", script.display()));
    bench.start().await;
    bench.quiet().await;
    bench.drop_file(OWN, "1.jpg", b"text");
    wait_for("the program", async || out.exists()).await;
    let told: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!((&told["service"], &told["rejected"]), (&"brandpost".into(), &1.into()));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_back_is_told_after_a_restart_and_what_was_told_is_not() {
    let (robot, url) = Robot::start(Some("")).await;
    let mut bench = Bench::with(&config(&url, "")).await;
    bench.start().await;
    bench.quiet().await;
    bench.drop_file(OWN, "1.jpg", b"text");
    robot.until(1).await;
    *robot.answer.lock().unwrap() = None;
    bench.drop_file(OWN, "2.jpg", b"another text");
    robot.until(2).await;
    bench.stop().await;
    let heard = robot.told().len();
    *robot.answer.lock().unwrap() = Some("");
    bench.start().await;
    robot.until(heard + 1).await;
    let last = robot.told().last().unwrap().1.clone();
    assert_eq!((&last["rejected"], &last["files"][0]["file_name"]), (&1.into(), &"2.jpg".into()));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_ends_by_a_restart_is_told_to_be_over_and_not_before() {
    let (robot, url) = Robot::start(Some("")).await;
    let mut bench = Bench::with(&config(&url, "")).await;
    fs::write(bench.folder.path().join("secret"), "wrong\n").unwrap();
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    bench.start().await;
    robot.until(1).await;
    assert!(robot.told()[0].1["begun"]["paused"].is_string(), "{:?}", robot.told());
    bench.stop().await;
    bench.start().await;
    let paused = |bench: &Bench| bench.ledger().report().clone();
    wait_for("the breaker is open again", async || {
        bench.gateway_calls() > 2 && !paused(&bench).notices().await.unwrap().is_empty()
    })
    .await;
    bench.stop().await;
    assert_eq!(robot.told().len(), 1, "nothing has changed: {:?}", robot.told());
    fs::write(bench.folder.path().join("secret"), "sandbox-app-secret\n").unwrap();
    bench.start().await;
    robot.until(2).await;
    assert!(robot.told()[1].1["over"]["paused"].is_string(), "{:?}", robot.told());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_lost_is_told() {
    let (robot, url) = Robot::start(Some("")).await;
    let mut bench = Bench::with(&config(&url, "")).await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    bench.start().await;
    bench.quiet().await;
    bench.stop().await;
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", bench.database().display()));
    }
    bench.start().await;
    robot.until(1).await;
    assert!(robot.told()[0].1["begun"]["rebuilt"].is_string(), "{:?}", robot.told());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_refusals_is_counted_and_copies_are_none() {
    const MANY: u64 = 1200;
    let (robot, url) = Robot::start(Some("")).await;
    let mut bench = Bench::with(&config(&url, "")).await;
    bench.start().await;
    bench.quiet().await;
    bench.drop_file(OWN, "good.jpg", &jpg(1));
    bench.until_state("good.jpg", State::Uploaded).await;
    bench.drop_file(OWN, "copy.jpg", &jpg(1));
    for number in 0..MANY {
        bench.drop_file(OWN, format!("{number}.txt"), format!("text {number}").as_bytes());
    }
    let count = || robot.told().iter().map(|(_, told)| told["rejected"].as_u64().unwrap()).sum::<u64>();
    wait_for("all are told", async || count() >= MANY).await;
    bench.until("the copy is refused", |rows| rows.len() as u64 == MANY + 2).await;
    assert_eq!(count(), MANY);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_makes_no_robot_repeat_itself() {
    let (robot, url) = Robot::start(Some("")).await;
    let mut bench = Bench::with(&config(&url, "command = [\"/bin/false\"]\n")).await;
    bench.start().await;
    bench.quiet().await;
    for number in 1..=3_usize {
        bench.drop_file(OWN, format!("{number}.jpg"), format!("text {number}").as_bytes());
        robot.until(number).await;
        assert_eq!(robot.told().len(), number, "{:?}", robot.told());
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_is_complete_once_when_all_that_waited_is_uploaded() {
    let (robot, url) = Robot::start(Some("")).await;
    let mut bench = Bench::with(&config(&url, "on = [\"complete\"]\n")).await;
    bench.start().await;
    bench.quiet().await;
    let down =
        FaultAction::Status { status: 503, body: String::new(), headers: std::collections::BTreeMap::new() };
    bench.sandbox.fault(Fault::gateway(down));
    for seed in 1..=3 {
        bench.drop_file("OWNBRAND/1001-海尔", format!("{seed}.jpg"), &jpg(seed));
    }
    bench.drop_file("OWNBRAND/1001-海尔", "4.jpg", b"text");
    bench.until("all are there", |rows| rows.len() == 4).await;
    assert_eq!(robot.told().len(), 0, "{:?}", robot.told());
    bench.sandbox.clear_faults();
    bench.quiet().await;
    robot.until(1).await;
    let (_, told) = robot.told()[0].clone();
    let brand = serde_json::json!({"brand": OWN, "label": "海尔", "uploaded": 3, "failed": 0, "rejected": 1});
    assert_eq!((&told["completed"], &told["brands"][0]), (&1.into(), &brand), "{told:#}");
    assert_eq!((&told["rejected"], &told["begun"]), (&0.into(), &serde_json::json!({})), "{told:#}");
    // what was told is not told after a restart; what comes then is
    bench.stop().await;
    bench.start().await;
    bench.quiet().await;
    bench.drop_file("OWNBRAND/1001-海尔", "5.jpg", &jpg(5));
    robot.until(2).await;
    assert_eq!(robot.told()[1].1["brands"][0]["uploaded"], 4, "{:?}", robot.told());
    bench.stop().await;
    assert_eq!(robot.told().len(), 2, "{:?}", robot.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_to_hear_of_pauses_alone_hears_of_each() {
    let (robot, url) = Robot::start(Some("")).await;
    let mut bench = Bench::with(&config(&url, "on = [\"paused\"]\n")).await;
    bench.start().await;
    bench.quiet().await;
    for round in 1..=2 {
        bench.ledger().suspend("maintenance").await.unwrap();
        robot.until(round).await;
        bench.ledger().resume().await.unwrap();
        bench.drop_file(OWN, format!("{round}.jpg"), b"text");
        // the end of the pause is noted though nobody is told
        let noted =
            async || bench.report().await.pending_alerts("webhook").await.unwrap().delivered.is_empty();
        wait_for("the end is noted", noted).await;
    }
    bench.stop().await;
    for (_, told) in robot.told() {
        assert!(told["begun"]["suspended"].is_string() && told["rejected"] == 0, "{told:#}");
    }
    assert_eq!(robot.told().len(), 2, "{:?}", robot.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_summary_is_sent_once_a_day() {
    let noon =
        jiff::civil::date(2026, 11, 30).at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::system()).unwrap();
    let clock = Arc::new(ManualClock::new(noon.timestamp()));
    let (robot, url) = Robot::start(Some("")).await;
    let mut bench = Bench::with(&config(&url, "on = []\nsummary_at = \"08:00\"\n")).await;
    bench.clock = clock.clone();
    bench.start().await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    bench.drop_file(OWN, "2.jpg", b"text");
    bench.until_state("1.jpg", State::Uploaded).await;
    bench.until_state("2.jpg", State::Rejected).await;
    let hours = |count| Duration::from_hours(count);
    clock.advance(hours(19));
    bench.seen(OWN).await;
    assert_eq!(robot.told().len(), 0, "it is seven o'clock: {:?}", robot.told());
    clock.advance(hours(1));
    robot.until(1).await;
    let summary = &robot.told()[0].1["summary"];
    let expected = serde_json::json!({"date": "2026-12-01", "uploaded": 1, "waiting": 0, "held": 0, "failed": 0, "rejected": 2});
    assert_eq!(*summary, expected);
    bench.stop().await;
    bench.start().await;
    bench.quiet().await;
    // down for three days: one summary, for the last of them
    bench.stop().await;
    clock.advance(hours(72));
    bench.start().await;
    robot.until(2).await;
    assert_eq!(robot.told()[1].1["summary"]["date"], "2026-12-04");
    bench.stop().await;
    assert_eq!(robot.told().len(), 2, "{:?}", robot.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_try_whether_messages_arrive() {
    let (robot, url) = Robot::start(Some(r#"{"errcode": 0}"#)).await;
    let bench = Bench::with(&config(&url, "kind = \"dingtalk\"\ncommand = [\"/bin/false\"]\n")).await;
    let check = async || {
        let (code, out, _) = crate::cli::run(&bench, &["check", "--alerts"]).await;
        (code, out)
    };
    let (code, out) = check().await;
    assert!(out.contains("ok    alerts    webhook: the test message was accepted"), "{out}");
    // what root starts, whoever is the service's user could reach
    let (expected, words) = match rustix::process::geteuid().is_root() {
        true => (0, "note  alerts    command: root starts no program of the service's"),
        false => (1, "FAIL  alerts    command: alerts.command /bin/false: exit status: 1"),
    };
    assert!(code == expected && out.contains(words), "{out}");
    let text = robot.told()[0].1["text"]["content"].clone();
    assert_eq!(text, "brandpost 品牌资质图片上传\n【测试】告警可以送达这里");
    *robot.answer.lock().unwrap() = Some(r#"{"errcode": 310000, "errmsg": "sign not match"}"#);
    let (_, out) = check().await;
    assert!(out.contains("FAIL  alerts    webhook: the robot refuses it [310000]: sign not match"), "{out}");
    assert!(!out.contains("very-secret"), "{out}");
    bench.configure("");
    let (code, out) = check().await;
    assert!(code == 1 && out.contains("FAIL  alerts    nobody is told anything"), "{out}");
}
