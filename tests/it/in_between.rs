//! Who answers when it is neither cloud: a firewall, a proxy, a login page. Nothing that they say is about a file.

use std::collections::BTreeMap;
use std::time::Duration;

use brandpost::domain::upload::State;
use brandpost::ledger::StatusRow;
use brandpost::sim::{Fault, FaultAction};

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
            let kind = row.error_kind.clone().unwrap_or_default();
            assert_eq!(row.state, "retrying", "{status}: {row:#?}");
            assert!(["network", "oss_error", "gateway_error"].contains(&kind.as_str()), "{status}: {row:#?}");
            assert_eq!(row.error_code, Some(status.to_string()));
            let message = row.error_message.unwrap();
            assert!(message.contains("squid/5.7") && message.contains("aliyun"), "{message}");
        }
    }
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
        let waits = |row: &StatusRow| row.state.parse::<State>().unwrap().is_pending();
        assert!(rows.iter().all(waits), "{rows:#?}");
        let requests = bench.sandbox.requests().len();
        assert!(requests <= 24, "{requests}");
        let notices = bench.report().await.notices().await.unwrap();
        assert!(notices.iter().any(|notice| notice.name == "paused"), "{notices:?}");
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
    assert_eq!(row.error_kind.as_deref(), Some("network"));
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
    }
}
