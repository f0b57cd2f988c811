//! `brandpost check`: what is wrong, and what keeps files from being sent.

use std::fs;

use crate::cli::{ZH, run};
use crate::crash::wait_for;
use crate::support::pictures::jpg;
use crate::support::{Bench, OWN, write_private};

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_and_what_is_wrong() {
    let bench = Bench::new().await;
    let (code, out, _) = run(&bench, &["check", "--online"]).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("api.link.aliyun.com accepts the signature"), "{out}");
    assert_eq!(bench.puts().len(), 0);
    fs::write(bench.folder.path().join("secret"), "wrong").unwrap();
    let (code, out, _) = run(&bench, &["check", "--online"]).await;
    assert_eq!(code, 1);
    assert!(
        out.contains("FAIL  gateway   api.link.aliyun.com: credentials [A403IS]: Invalid Signature. Check"),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_warns_of_a_gateway_without_encryption() {
    let bench = Bench::new().await;
    let (code, out, _) = run(&bench, &["check"]).await;
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("WARN  gateway   gateway.url = \"http://api.link.aliyun.com\" is not encrypted"),
        "{out}"
    );
    let text = fs::read_to_string(bench.config()).unwrap();
    write_private(&bench.config(), &text.replace("http://api.link.aliyun.com", "http://127.0.0.1:9610"));
    let (_, out, _) = run(&bench, &["check"]).await;
    assert!(!out.contains("WARN"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_how_far_the_clock_is_off() {
    for (off, code, words) in [(-300, 0, "300 s fast"), (1200, 1, "1200 s slow")] {
        let now = || brandpost::domain::clock::Clock::now(&brandpost::domain::clock::SystemClock);
        let time: sandbox::Clock = std::sync::Arc::new(move || now() + jiff::SignedDuration::from_secs(off));
        let options = sandbox::SandboxOptions { time, ..Default::default() };
        let bench = Bench::build(options, "").await;
        let (found, out, _) = run(&bench, &["check", "--online"]).await;
        // a second may pass between the two clocks
        let near = |text: &str| out.contains(text);
        let (a, b) = (words.to_owned(), words.replace("300", "299").replace("1200", "1199"));
        assert!(
            found == code && (near(&a) || near(&b) || near(&words.replace("300", "301"))),
            "{off}: {out}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_keeps_files_from_being_sent() {
    let bench = Bench::new().await;
    let (_, out, _) = run(&bench, &["check"]).await;
    assert!(!out.contains("state"), "there is no database yet: {out}");
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    run(&bench, &["run", "--once"]).await;
    let (_, out, _) = run(&bench, &["check"]).await;
    assert!(!out.contains("state"), "nothing does: {out}");
    run(&bench, &["pause", "maintenance"]).await;
    let (code, out, _) = run(&bench, &["check"]).await;
    assert_eq!(code, 0, "a pause is no fault: {out}");
    assert!(out.contains("WARN  state     uploads are paused by an operator: maintenance"), "{out}");
    run(&bench, &["resume"]).await;
    let (_, out, _) = run(&bench, &["check"]).await;
    assert!(!out.contains("state"), "it is over: {out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_counts_files_that_are_held() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    run(&bench, &["run", "--once"]).await;
    // the daemon finds its database damaged, and makes another
    fs::write(bench.database(), "nonsense".repeat(1000)).unwrap();
    bench.start().await;
    bench.until("it is held", |rows| rows.len() == 1).await;
    let (_, out, _) = run(&bench, &[ZH, "check"]).await;
    assert!(out.contains("WARN  state     1 个文件待确认："), "{out}");
    for command in ["status", "show"] {
        let id = if command == "show" { &["1"][..] } else { &[] };
        let (_, out, _) = run(&bench, &[&[ZH, command], id].concat()).await;
        assert!(out.contains("`brandpost adopt` 视为已上传"), "{out}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_served_is_a_fault_also_while_the_daemon_runs() {
    let mut bench = Bench::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    bench.configure(&format!("[http]\nlisten = \"{}\"\n", taken.local_addr().unwrap()));
    bench.start().await;
    wait_for("check says so", async || {
        let (code, out, _) = run(&bench, &["check"]).await;
        code == 1 && out.contains("FAIL  page      ")
    })
    .await;
    bench.stop().await;
}
