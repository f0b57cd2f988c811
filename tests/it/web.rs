//! The HTTP service: what it shows, what it does, and whom it refuses.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use brandpost::domain::upload::State;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::support::pictures::{jpg, png};
use crate::support::{Bench, OTHER, OWN};

const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

async fn get(bench: &Bench, path: &str) -> Response {
    Client::new().get(bench.http() + path).send().await.unwrap()
}

async fn json(bench: &Bench, path: &str) -> Value {
    let answer = get(bench, path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

fn post(bench: &Bench, path: &str) -> RequestBuilder {
    Client::new().request(Method::POST, bench.http() + path).header("x-brandpost", "1")
}

async fn uploaded() -> Bench {
    let mut bench = Bench::with(HTTP).await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    bench.drop_file(OWN, "2.txt", b"no picture");
    bench.drop_file(OTHER, "3.png", &png(3));
    bench.start().await;
    bench.quiet().await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_listed_in_pages() {
    let mut bench = uploaded().await;
    let first = json(&bench, "/api/v1/uploads?limit=2").await;
    let next = first["next"].as_str().unwrap();
    let rest = json(&bench, &format!("/api/v1/uploads?limit=2&after={next}")).await;
    let names = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|row| row["file_name"].to_string()).collect()
    };
    let all: BTreeSet<_> = names(&first).into_iter().chain(names(&rest)).collect();
    assert_eq!((all.len(), rest["next"].clone()), (3, Value::Null));
    for (ask, count) in [
        ("state=rejected,failed", 1),
        ("brand=OWNBRAND/1001", 2),
        ("brand=OWNBRAND/1001&state=uploaded", 1),
        ("q=.PNG", 1),
        ("q=%25", 0),
        ("q=1001", 2),
        ("q=otherbrand/2002", 1),
        ("since=2001-01-01T00:00:00Z", 3),
        ("since=2100-01-01T00:00:00Z", 0),
    ] {
        let page = json(&bench, &format!("/api/v1/uploads?{ask}")).await;
        assert_eq!(names(&page).len(), count, "{ask}");
    }
    for wrong in ["state=lost", "brand=X/1", "after=x", "since=yesterday", "color=red", "limit=-1"] {
        let answer = get(&bench, &format!("/api/v1/uploads?{wrong}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
    let brands = json(&bench, "/api/v1/brands?limit=1").await;
    assert_eq!((&brands["items"][0]["slots"][0]["slot"], &brands["next"]), (&1.into(), &OWN.into()));
    assert_eq!(brands["items"][0]["refused"][0]["error_kind"], "unsupported_format");
    let brands = json(&bench, &format!("/api/v1/brands?after={OWN}")).await;
    assert_eq!(brands["items"].as_array().unwrap().len(), 1);
    let summary = json(&bench, "/api/v1/summary").await;
    assert_eq!((&summary["counts"]["uploaded"], &summary["counts"]["rejected"]), (&2.into(), &1.into()));
    let id = bench.row("1.jpg").await.id;
    let whole = json(&bench, &format!("/api/v1/uploads/{id}")).await;
    assert_eq!(whole["attempts"][0]["outcome"], "uploaded");
    assert_eq!(get(&bench, "/api/v1/uploads/999").await.status(), StatusCode::NOT_FOUND);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_retry_release_pause_and_resume() {
    let mut bench = uploaded().await;
    let id = bench.row("1.jpg").await.id;
    let answer = post(&bench, &format!("/api/v1/uploads/{id}/retry")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    bench.until("sent again", |_| bench.puts().len() == 3).await;
    bench.quiet().await;
    let release = format!("/api/v1/brands/{OWN}/slots/1/release");
    assert_eq!(post(&bench, &release).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let answer = post(&bench, &release).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert!(answer.text().await.unwrap().contains("is free already"));

    assert_eq!(post(&bench, "/api/v1/pause").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    bench.drop_file(OTHER, "4.jpg", &jpg(4));
    bench.until_state("4.jpg", State::Queued).await;
    bench.seen(OTHER).await;
    assert_eq!(get(&bench, "/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json(&bench, "/api/v1/summary").await["paused_by_operator"], true);
    bench.stop().await;
    bench.start().await;
    bench.seen(OTHER).await;
    assert_eq!(bench.row("4.jpg").await.state, "queued", "a restart changes nothing");
    assert_eq!(post(&bench, "/api/v1/resume").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    bench.until_state("4.jpg", State::Uploaded).await;
    assert_eq!(get(&bench, "/readyz").await.status(), StatusCode::OK);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_names_and_foreign_pages_are_refused() {
    let mut bench = uploaded().await;
    let with_host = async |host: &str| {
        Client::new()
            .get(bench.http() + "/api/v1/summary")
            .header("host", host)
            .send()
            .await
            .unwrap()
            .status()
    };
    for host in ["evil.example", "localhost.evil.example:9600", "127.0.0.1.evil.example", ""] {
        assert_eq!(with_host(host).await, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    for host in ["localhost", "localhost:9600", "127.0.0.1:1", "[::1]:9600"] {
        assert_eq!(with_host(host).await, StatusCode::OK, "{host}");
    }
    let pause = bench.http() + "/api/v1/pause";
    let plain = Client::new().post(&pause);
    let cross = post(&bench, "/api/v1/pause").header("origin", "https://evil.example");
    let site = post(&bench, "/api/v1/pause").header("sec-fetch-site", "cross-site");
    let null = post(&bench, "/api/v1/pause").header("origin", "null");
    for request in [plain, cross, site, null] {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(json(&bench, "/api/v1/summary").await["paused_by_operator"], false);
    let page = get(&bench, "/").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let html = page.text().await.unwrap();
    assert!(
        !html.contains("style=") && !html.contains("onclick") && !html.contains("<script>"),
        "nothing inline"
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thumbnails_are_small_and_only_of_checked_files() {
    let mut bench = uploaded().await;
    let of = |id: String| format!("/api/v1/uploads/{id}/thumbnail");
    let picture = get(&bench, &of(bench.row("1.jpg").await.id.to_string())).await;
    assert_eq!(picture.headers()["content-type"], "image/jpeg");
    let picture = image::load_from_memory(&picture.bytes().await.unwrap()).unwrap();
    assert!(picture.width() <= 240 && picture.height() <= 240);
    let refused = bench.row("2.txt").await.id.to_string();
    for id in [refused.as_str(), "999", "-1", "..%2f..%2fetc%2fpasswd", "1%00"] {
        let status = get(&bench, &of(id.to_owned())).await.status();
        assert!(matches!(status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST), "{id}: {status}");
    }
    // what is not as it was inspected is not shown
    let id = bench.row("3.png").await.id.to_string();
    let path = bench.brand(OTHER).join("3.png");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert_eq!(get(&bench, &of(id)).await.status(), StatusCode::NOT_FOUND);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_nothing_is_shown_without_it() {
    let mut bench = Bench::with(&format!("{HTTP}token_file = \"token\"\n")).await;
    let token = "0123456789abcdef-token";
    fs::write(bench.folder.path().join("token"), format!("{token}\n")).unwrap();
    bench.start().await;
    for path in ["/api/v1/summary", "/metrics", "/readyz", "/api/v1/events", "/api/v1/uploads/1/thumbnail"] {
        assert_eq!(get(&bench, path).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/", "/assets/page.js", "/healthz"] {
        assert_eq!(get(&bench, path).await.status(), StatusCode::OK, "{path}");
    }
    let login = async |token: &str| {
        let body = format!("{{\"token\":\"{token}\"}}");
        let request = post(&bench, "/api/v1/login").header("content-type", "application/json").body(body);
        request.send().await.unwrap()
    };
    assert_eq!(login("another-token-as-long").await.status(), StatusCode::UNAUTHORIZED);
    let answer = login(token).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(token),
        "{cookie}"
    );
    let summary = || Client::new().get(bench.http() + "/api/v1/summary");
    let with_cookie = summary().header("cookie", cookie.split(';').next().unwrap());
    assert_eq!(with_cookie.send().await.unwrap().status(), StatusCode::OK);
    let bearer = summary().header("authorization", format!("Bearer {token}"));
    assert_eq!(bearer.send().await.unwrap().status(), StatusCode::OK);
    let wrong = summary().header("cookie", "brandpost=x").header("authorization", "Bearer x");
    assert_eq!(wrong.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_at_once_and_the_stream_ends_with_the_daemon() {
    let mut bench = uploaded().await;
    let mut stream = get(&bench, "/api/v1/events").await;
    bench.drop_file(OTHER, "new.jpg", &jpg(7));
    let mut text = String::new();
    let told = async {
        while !(text.contains("new.jpg")
            && text.contains("event: summary")
            && text.contains("\"state\":\"uploaded\""))
        {
            text += std::str::from_utf8(&stream.chunk().await.unwrap().expect("an open stream")).unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("it is told");
    bench.stop().await;
    let end = async { while stream.chunk().await.is_ok_and(|chunk| chunk.is_some()) {} };
    tokio::time::timeout(Duration::from_secs(20), end).await.expect("the stream ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_explained_and_every_explained_one_is_there() {
    let mut bench = uploaded().await;
    bench.seen(OWN).await;
    let older = get(&bench, "/metrics").await;
    assert_eq!(older.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let older = older.text().await.unwrap();
    let request =
        Client::new().get(bench.http() + "/metrics").header("accept", "application/openmetrics-text");
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.ends_with("# EOF\n") && !older.contains("# EOF"));
    let declared = older.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let declared: BTreeSet<_> = declared.map(str::to_owned).collect();
    for readme in ["README.md", "README.zh-CN.md"] {
        let path = format!("{}/docs/monitoring/{readme}", env!("CARGO_MANIFEST_DIR"));
        let readme = fs::read_to_string(path).unwrap();
        let table = readme.lines().filter_map(|line| line.strip_prefix("| `brandpost_"));
        let explained = table.map(|rest| rest.split(['`', '{']).next().unwrap());
        let explained: BTreeSet<_> = explained.map(|name| format!("brandpost_{name}")).collect();
        assert_eq!(explained, declared);
    }
    for line in [
        "brandpost_files{state=\"uploaded\"} 2",
        "brandpost_attempts_total{outcome=\"uploaded\",error_kind=\"\"} 2",
        "brandpost_attempts_total{outcome=\"failed\",error_kind=\"oss_rejected\"} 0",
        "brandpost_rejections_total{error_kind=\"unsupported_format\"} 2",
        "brandpost_delivery_seconds_count 2",
        "brandpost_inspect_seconds_count 4",
        "brandpost_paused{cause=\"operator\"} 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_address() {
    let mut bench = uploaded().await;
    bench.configure(&format!("{HTTP}hosts = [\"brandpost.lan\"]\n"));
    bench.reload();
    let named = async || {
        let request = Client::new().get(bench.http() + "/healthz").header("host", "brandpost.lan");
        request.send().await.is_ok_and(|answer| answer.status() == StatusCode::OK)
    };
    crate::crash::wait_for("the new configuration", named).await;
    bench.stop().await;
}
