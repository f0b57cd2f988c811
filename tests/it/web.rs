//! The HTTP service: what it shows, what it does, and whom it refuses.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use brandpost::domain::upload::State;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::pictures::{jpg, png};
use crate::support::{Bench, OTHER, OWN};

const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

async fn get(bench: &Bench, path: &str) -> Response {
    Client::new().get(bench.http() + path).bearer_auth(bench.token()).send().await.unwrap()
}

/// Without the token.
fn stranger(bench: &Bench, path: &str) -> RequestBuilder {
    Client::new().get(bench.http() + path)
}

async fn json(bench: &Bench, path: &str) -> Value {
    let answer = get(bench, path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

fn post(bench: &Bench, path: &str) -> RequestBuilder {
    let request = Client::new().request(Method::POST, bench.http() + path).header("x-brandpost", "1");
    request.bearer_auth(bench.token())
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
        ("since=2h", 3),
    ] {
        let page = json(&bench, &format!("/api/v1/uploads?{ask}")).await;
        assert_eq!(names(&page).len(), count, "{ask}");
    }
    assert_eq!(names(&json(&bench, "/api/v1/uploads?state=rejected,rejected").await).len(), 1);
    let many = format!("state={}", ["failed"; 600].join(","));
    let long = format!("q={}", "x".repeat(60_000));
    for wrong in [
        "state=lost",
        "brand=X/1",
        "after=x",
        "since=yesterday",
        "color=red",
        "limit=-1",
        &many,
        &many[..60],
        &long,
    ] {
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
    for nothing in ["/api/v1/uploads/999", "/api/v2", "/assets/none.js"] {
        let answer = get(&bench, nothing).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.text().await.unwrap(), "there is no such thing\n", "{nothing}");
    }
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
    // “…本来就是空的”, percent-encoded
    let chinese = answer.headers()["x-brandpost-message-zh"].to_str().unwrap();
    assert!(chinese.starts_with("OWNBRAND%2F1001") && chinese.contains("%E5%BA%8F%E5%8F%B7"), "{chinese}");
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
    assert_eq!(bench.row("4.jpg").await.state, State::Queued, "a restart changes nothing");
    assert_eq!(post(&bench, "/api/v1/resume").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    bench.until_state("4.jpg", State::Uploaded).await;
    assert_eq!(get(&bench, "/readyz").await.status(), StatusCode::OK);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_names_and_foreign_pages_are_refused() {
    let mut bench = uploaded().await;
    let with_host = async |host: &str| {
        let request = stranger(&bench, "/api/v1/summary").bearer_auth(bench.token());
        request.header("host", host).send().await.unwrap().status()
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
    assert_eq!(page.headers()["cross-origin-resource-policy"], "same-origin");
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

/// What every stranger may ask for.
const OPEN: [&str; 6] = ["/", "/assets/{name}", "/healthz", "/metrics", "/readyz", "/api/v1/login"];

/// Every route that the source has but for those, with whether it is a `POST`: what no stranger is shown, also on this machine.
fn guarded() -> Vec<(String, bool)> {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/mod.rs")).unwrap();
    let routes = source.split(".route(\"").skip(1).filter_map(|rest| {
        let (path, rest) = rest.split_once("\", ")?;
        Some((path, rest.starts_with("post(")))
    });
    let filled = |path: &str| path.replace("{type}/{id}", OWN).replace("{id}", "1").replace("{slot}", "1");
    routes.filter(|(path, _)| !OPEN.contains(path)).map(|(path, posts)| (filled(path), posts)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_or_done_without_the_token() {
    let mut bench = uploaded().await;
    let token = bench.token();
    let guarded = guarded();
    assert!(guarded.len() >= 10, "{guarded:?}");
    for (path, posts) in &guarded {
        let request = match posts {
            true => Client::new().post(bench.http() + path).header("x-brandpost", "1"),
            false => stranger(&bench, path),
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(*posts || answer.text().await.unwrap().contains("brandpost page"), "{path}");
    }
    assert_eq!(json(&bench, "/api/v1/summary").await["paused_by_operator"], false);
    for path in ["/", "/assets/page.css", "/healthz", "/metrics", "/readyz"] {
        let answer = stranger(&bench, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert!(!answer.text().await.unwrap().contains(&token), "{path}");
    }
    bench.stop().await;
    bench.start().await;
    assert_eq!(bench.token(), token, "a page stays open over a restart");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_machines_watch_is_open_to_this_machine_alone() {
    let mut bench = Bench::with(&format!("{HTTP}hosts = [\"brandpost.lan\"]\n")).await;
    bench.start().await;
    for path in ["/metrics", "/readyz"] {
        let ask = async |name: &str, value: &str| {
            let request = stranger(&bench, path).header(name, value);
            request.send().await.unwrap().status()
        };
        assert_eq!(ask("host", "localhost:9600").await, StatusCode::OK, "{path}");
        assert_eq!(ask("host", "[::1]").await, StatusCode::OK, "{path}");
        // by a proxy
        assert_eq!(ask("host", "brandpost.lan").await, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(ask("host", "10.1.2.3").await, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(ask("x-forwarded-for", "10.1.2.3").await, StatusCode::UNAUTHORIZED, "{path}");
        let bearer = stranger(&bench, path).header("host", "brandpost.lan").bearer_auth(bench.token());
        assert_eq!(bearer.send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_operator_opens_the_page_until_there_is_a_new_one() {
    let mut bench = Bench::with(&format!("{HTTP}token_file = \"token\"\n")).await;
    let (token, next) = ("3f9a1c0be2d84756a1b0c9d8e7f60512", "77aa1c0be2d84756a1b0c9d8e7f60512");
    let path = bench.folder.path().join("token");
    let write = |token: &str| {
        fs::write(&path, format!("{token}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write(token);
    bench.start().await;
    let login = async |token: &str| {
        let body = format!("{{\"token\":\"{token}\"}}");
        let request = Client::new().post(bench.http() + "/api/v1/login").header("x-brandpost", "1");
        request.header("content-type", "application/json").body(body).send().await
    };
    assert_eq!(login(next).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let answer = login(token).await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly")
            && cookie.contains("SameSite=Strict")
            && cookie.ends_with("Max-Age=2592000")
            && !cookie.contains(token),
        "{cookie}"
    );
    let status = async |name: &str, value: &str| {
        stranger(&bench, "/api/v1/summary").header(name, value).send().await.unwrap().status()
    };
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(status("cookie", cookie).await, StatusCode::OK);
    assert_eq!(status("authorization", &format!("Bearer {token}")).await, StatusCode::OK);
    assert_eq!(status("authorization", "Bearer x").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("cookie", "brandpost=x").await, StatusCode::UNAUTHORIZED);
    write(next);
    bench.reload();
    let is_in = async || login(next).await.is_ok_and(|answer| answer.status() == StatusCode::NO_CONTENT);
    crate::crash::wait_for("the new token", is_in).await;
    assert_eq!(status("cookie", cookie).await, StatusCode::UNAUTHORIZED, "the old cookie is over");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_could_be_guessed_is_refused_at_the_start() {
    let bench = Bench::with(&format!("{HTTP}token_file = \"token\"\n")).await;
    let path = bench.folder.path().join("token");
    fs::write(&path, "brandpost-operators\n").unwrap();
    let settings = brandpost::config::Settings::load(&bench.config()).unwrap();
    for (mode, wrong) in [(0o600, "128 bits"), (0o644, "other users can read it")] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = brandpost::web::check(&settings).unwrap_err().to_string();
        assert!(error.contains(wrong) && !error.contains("operators"), "{error}");
    }
}

/// 10,000 a second were checked before.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_slow_and_the_right_token_comes_through() {
    let mut bench = uploaded().await;
    let (http, token) = (bench.http(), bench.token());
    let begin = tokio::time::Instant::now();
    let mut crowd = tokio::task::JoinSet::new();
    let checked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    for guesser in 0..64 {
        let (url, checked) = (format!("{http}/api/v1/summary"), checked.clone());
        crowd.spawn(async move {
            let client = Client::new();
            loop {
                let answer = client.get(&url).bearer_auth(format!("guess-{guesser}")).send().await;
                if answer.is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED) {
                    checked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mine = tokio::time::Instant::now();
    let answer =
        Client::new().get(format!("{http}/api/v1/summary")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(mine.elapsed() < Duration::from_secs(15), "{:?}", mine.elapsed());
    crowd.shutdown().await;
    let checked = checked.load(std::sync::atomic::Ordering::Relaxed);
    let most = 1 + begin.elapsed().as_millis() / 25;
    assert!(u128::from(checked) <= most, "{checked} guesses in {:?}", begin.elapsed());
    bench.stop().await;
}

/// All places of this machine are taken by guesses that are being answered, so that none makes room.
#[tokio::test(flavor = "multi_thread")]
async fn places_are_kept_for_other_addresses() {
    let route = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let Ok(()) = route.connect("192.0.2.1:9") else {
        eprintln!("SKIPPED: places_are_kept_for_other_addresses needs an address beside loopback");
        return;
    };
    let other = route.local_addr().unwrap().ip();
    let mut bench = Bench::with("[http]\nlisten = \"0.0.0.0:0\"\ntoken_file = \"token\"\n").await;
    let path = bench.folder.path().join("token");
    fs::write(&path, "3f9a1c0be2d84756a1b0c9d8e7f60512").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    bench.start().await;
    let port = bench.http().rsplit_once(':').unwrap().1.to_owned();
    let mut crowd = tokio::task::JoinSet::new();
    let guess = "GET /api/v1/summary HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer guess\r\n\r\n";
    for _ in 0..160 {
        let address = format!("127.0.0.1:{port}");
        crowd.spawn(async move {
            loop {
                let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
                let _ = stream.write_all(guess.as_bytes()).await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..5 {
        let begin = tokio::time::Instant::now();
        let answer = Client::new().get(format!("http://{other}:{port}/healthz")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        // and what is open to this machine is not open to another address of it
        let answer = Client::new().get(format!("http://{other}:{port}/metrics")).send().await;
        assert!(answer.is_err() || answer.unwrap().status() == StatusCode::UNAUTHORIZED);
    }
    crowd.shutdown().await;
    bench.stop().await;
}

/// Real sockets: so many that stand in the door, in each of the ways in which one can.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_close_the_page() {
    let mut bench = uploaded().await;
    let address = bench.http().replace("http://", "");
    let login = "POST /api/v1/login HTTP/1.1\r\nhost: localhost\r\nx-brandpost: 1\r\ncontent-type: application/json\r\n";
    let no_body = format!("{login}content-length: 1900\r\n\r\n{{\"token\":\"");
    let never_read = "GET /assets/page.css HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(400);
    for says in ["", "GET /healthz HT", &no_body, &never_read] {
        let mut crowd = Vec::new();
        for _ in 0..160 {
            let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
            // what does not fit into the socket is not waited for
            let _ = stream.try_write(says.as_bytes());
            crowd.push(stream);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        for path in ["/healthz", "/", "/api/v1/summary"] {
            let begin = tokio::time::Instant::now();
            assert_eq!(get(&bench, path).await.status(), StatusCode::OK, "{path}");
            assert!(begin.elapsed() < Duration::from_secs(8), "{path} after {:?}", begin.elapsed());
        }
    }
    // a body that is too long is not read, and nothing is kept of it
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    stream.write_all(format!("{login}content-length: 1900000\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
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
