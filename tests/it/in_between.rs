//! Who answers when it is neither cloud: a firewall, a proxy, a login page. Nothing that they say is about a file.

use brandpost::domain::failure::ErrorKind;
use brandpost::domain::notice::NoticeName;
use std::collections::BTreeMap;
use std::time::Duration;

use brandpost::domain::upload::State;
use brandpost::ledger::StatusRow;
use sandbox::{Fault, FaultAction};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN, names_in_state};

const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Access Denied</title></head><body>blocked</body></html>";

/// An answer by somebody on the way: a page, and no id of a cloud.
fn page(bench: &Bench, fault: fn(FaultAction) -> Fault, status: u16) {
    let set = BTreeMap::from([("server".to_owned(), "squid/5.7".to_owned())]);
    let remove = ["x-oss-request-id", "x-ca-request-id"].map(str::to_owned).to_vec();
    bench.sandbox.fault(fault(FaultAction::Headers { set, remove }));
    bench.sandbox.fault(fault(FaultAction::Status { status, headers: BTreeMap::new(), body: PAGE.into() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_firewall_is_an_outage_whatever_its_status() {
    for fault in [Fault::oss as fn(FaultAction) -> Fault, Fault::gateway] {
        for status in [200, 302, 400, 401, 403, 404, 407, 409, 429, 451, 502] {
            let mut bench = Bench::with("[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n").await;
            bench.drop_file(OWN, "a.jpg", &jpg(1));
            page(&bench, fault, status);
            bench.once().await;
            let row = bench.row("a.jpg").await;
            let kind = row.error_kind.map_or("", ErrorKind::as_str);
            assert_eq!(row.state, State::Retrying, "{status}: {row:#?}");
            assert!(["network", "oss_error", "gateway_error"].contains(&kind), "{status}: {row:#?}");
            assert_eq!(row.error_code, Some(status.to_string()));
            let message = row.error_message.unwrap();
            assert!(message.contains("squid/5.7") && message.contains("aliyun"), "{message}");
        }
    }
}

/// An id of the cloud that is there and empty is none.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_id_is_none() {
    for (fault, id) in
        [(Fault::oss as fn(FaultAction) -> Fault, "x-oss-request-id"), (Fault::gateway, "x-ca-request-id")]
    {
        for status in [403, 500] {
            let mut bench = Bench::with("[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n").await;
            bench.drop_file(OWN, "a.jpg", &jpg(1));
            let headers = BTreeMap::from([(id.to_owned(), String::new())]);
            bench.sandbox.fault(fault(FaultAction::Status { status, headers, body: String::new() }));
            bench.once().await;
            assert_eq!(bench.row("a.jpg").await.state, State::Retrying, "{status}");
        }
    }
}

/// A load balancer says 408 to a connection on which nothing is asked, and closes it.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_asked_for_is_no_answer_to_the_next_request() {
    let mut bench = Bench::new().await;
    let (listener, sandbox) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), bench.sandbox.addr());
    let text = std::fs::read_to_string(bench.config()).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::fs::write(bench.config(), text.replace(&format!(":{}", sandbox.port()), &format!(":{port}")))
        .unwrap();
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut inside = TcpStream::connect(sandbox).await?;
                let idle = async { tokio::io::copy_bidirectional(&mut outside, &mut inside).await };
                let _ = tokio::time::timeout(Duration::from_millis(300), idle).await;
                let answer = b"HTTP/1.0 408 Request Time-out\r\nConnection: close\r\n\r\n<html>408</html>";
                outside.write_all(answer).await
            });
        }
    });
    bench.start().await;
    for seed in 1..=3 {
        let name = format!("{seed}.jpg");
        bench.drop_file(OWN, &name, &jpg(seed));
        let row = bench.until_state(&name, State::Uploaded).await;
        assert_eq!(row.attempts, 1, "{row:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_files_behind_a_firewall_wait_and_cost_few_requests() {
    for fault in [Fault::oss as fn(FaultAction) -> Fault, Fault::gateway] {
        let mut bench = Bench::with("[retry]\nfirst_delay = \"300ms\"\nmax_delay = \"10m\"\n").await;
        for seed in 1..=12 {
            bench.drop_file(&format!("OWNBRAND/{}", 1 + seed % 3), format!("{seed}.jpg"), &jpg(seed));
        }
        page(&bench, fault, 403);
        bench.start().await;
        bench.until("all are recorded", |rows| rows.len() == 12).await;
        bench.until("a probe has failed", |_| bench.sandbox.requests().len() > 10).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let rows = bench.rows().await;
        let waits = |row: &StatusRow| row.state.is_pending();
        assert!(rows.iter().all(waits), "{rows:#?}");
        let requests = bench.sandbox.requests().len();
        assert!(requests <= 24, "{requests}");
        let notices = bench.report().await.notices().await.unwrap();
        assert!(notices.iter().any(|notice| notice.name == NoticeName::Paused), "{notices:?}");
        bench.sandbox.clear_faults();
        bench.quiet().await;
        assert_eq!(names_in_state(&bench.rows().await, State::Uploaded).len(), 12);
        bench.stop().await;
    }
}

/// Runs `run --once` with these variables, as the daemon would be run: the proxy is the environment's.
async fn run_once(bench: &Bench, variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_brandpost"));
    command.arg("--config").arg(bench.config()).args(["run", "--once"]).envs(variables.iter().copied());
    command.output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_down_is_named() {
    let bench = Bench::with("[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n").await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    // nobody listens there any more
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    run_once(&bench, &[("http_proxy", &format!("http://me:s3cret@{closed}"))]).await;
    let row = bench.row("a.jpg").await;
    let message = row.error_message.unwrap();
    assert_eq!(row.error_kind, Some(ErrorKind::Network));
    assert!(
        message.contains(&format!("cannot connect to api.link.aliyun.com through the proxy {closed}")),
        "{message}"
    );
    assert!(!message.contains("s3cret"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_cannot_be_one_is_an_error() {
    for (name, value) in
        [("HTTP_PROXY", "http//me:s3cret@proxy:1"), ("ALL_PROXY", "socks5://me:s3cret@127.0.0.1:1080")]
    {
        let bench = Bench::new().await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        let output = run_once(&bench, &[(name, value)]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(name) && !said.contains("s3cret"), "{said}");
        assert_eq!(bench.sandbox.requests().len(), 0, "nothing goes past the proxy");
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_brandpost"));
        let output =
            command.arg("--config").arg(bench.config()).arg("check").env(name, value).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success() && said.contains(name) && !said.contains("s3cret"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_lets_nobody_through_is_told_from_a_network_that_is_down() {
    for (answer, words) in
        [("403 Forbidden", "does not let this machine through"), ("407 Auth", "user and password")]
    {
        let bench = Bench::with("[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n").await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        let text = std::fs::read_to_string(bench.config()).unwrap();
        std::fs::write(bench.config(), text.replace("http://api", "https://api")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let refusing = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.read(&mut [0; 1024]).await;
                let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        run_once(&bench, &[("https_proxy", &format!("http://{proxy}"))]).await;
        let message = bench.row("a.jpg").await.error_message.unwrap();
        assert!(message.contains(&proxy.to_string()) && message.contains(words), "{message}");
        refusing.abort();
    }
}
