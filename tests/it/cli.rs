//! The command line, as people and scripts see it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use brandpost::domain::upload::State;

use crate::support::pictures::jpg;
use crate::support::process::{Process, copy_program};
use crate::support::{Bench, OWN, write_private};

fn brandpost(config: &Path, args: &[&str]) -> Output {
    // a first argument of this shape is a locale
    let (locale, args) = match args {
        [locale, rest @ ..] if locale.ends_with(".UTF-8") => (*locale, rest),
        args => ("C", args),
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_brandpost"));
    command.arg("--config").arg(config).args(args).env("TZ", "UTC").env_remove("BRANDPOST_CONFIG");
    command.env("LC_ALL", locale);
    command.output().unwrap()
}

/// Runs where an executor is already running, as the bench's sandbox needs one.
pub(crate) async fn run(bench: &Bench, args: &[&str]) -> (i32, String, String) {
    let (config, args) = (bench.config(), args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
    let output = tokio::task::spawn_blocking(move || {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        brandpost(&config, &args)
    });
    let output = output.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Takes out what differs from run to run.
pub(crate) fn steady(bench: &Bench, text: &str) -> String {
    let text = text.replace(&bench.folder.path().display().to_string(), "DIR");
    let mut steady = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("20").filter(|at| rest.len() >= at + 19) {
        let (head, tail) = rest.split_at(at);
        let is_time = tail.is_char_boundary(19)
            && tail[..19].bytes().enumerate().all(|(place, byte)| match place {
                4 | 7 => byte == b'-',
                10 => byte == b' ',
                13 | 16 => byte == b':',
                _ => byte.is_ascii_digit(),
            });
        steady.push_str(head);
        let length = if is_time { 19 } else { 2 };
        steady.push_str(if is_time { "0000-00-00 00:00:00" } else { &tail[..2] });
        rest = &tail[length..];
    }
    steady + rest
}

#[tokio::test(flavor = "multi_thread")]
async fn once_exits_0_when_all_is_uploaded_and_1_when_not() {
    let bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    let (code, out, _) = run(&bench, &["run", "--once"]).await;
    assert_eq!((code, out.as_str()), (0, "1 file: 1 uploaded\n"));
    bench.drop_file(OWN, "b.jpg", b"text");
    let (code, out, _) = run(&bench, &["run", "--once"]).await;
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains(
            "rejected  OWNBRAND/1001/b.jpg  unsupported_format: this is a text file, not a JPG, PNG or GIF"
        ),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_a_table_for_people_and_json_for_scripts() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.drop_file(OWN, "b.jpg", &jpg(1));
    fs::create_dir_all(bench.folder.path().join("inbox/ownbrand")).unwrap();
    bench.once().await;
    let (code, out, _) = run(&bench, &["status"]).await;
    assert_eq!(code, 0);
    insta::assert_snapshot!("status", steady(&bench, &out));

    let (_, out, _) = run(&bench, &["status", OWN, "--state", "uploaded", "--json"]).await;
    let rows: serde_json::Value = serde_json::from_str(&out).unwrap();
    let columns = "id brand_type brand_id file_name path state slot suffix size_bytes width height sha256 revision attempts \
                   next_attempt_at error_kind error_code error_message object_url etag request_id detected_at uploaded_at updated_at inbox brand_label held";
    let row = rows[0].as_object().unwrap();
    let mut expected: Vec<_> = columns.split_whitespace().collect();
    let mut found: Vec<_> = row.keys().map(String::as_str).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!((rows.as_array().unwrap().len(), &row["brand_id"]), (1, &serde_json::json!(1001)));
}

#[tokio::test(flavor = "multi_thread")]
async fn inspect_judges_files_that_are_in_no_inbox() {
    let bench = Bench::new().await;
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    let file = |name: &str| pictures.join(name).display().to_string();
    let (sound, cut, text) =
        (file("a-ok-for-comparison.jpg"), file("b-jpg-scan-cut-eoi-added.jpg"), file("c-gbk-text.jpg"));
    let folder = bench.folder.path().display().to_string();
    let (code, out, _) = run(&bench, &["inspect", &sound, &cut, &text, &folder, "missing.jpg"]).await;
    assert_eq!(code, 1);
    insta::assert_snapshot!("inspect", steady(&bench, &out).replace(&format!("{}/", pictures.display()), ""));
    assert_eq!(run(&bench, &["inspect", &sound]).await.0, 0);
    let (code, out, _) = run(&bench, &["inspect", "--json", &sound, &cut]).await;
    let verdicts: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &verdicts[0]["ok"], &verdicts[0]["width"]), (1, &true.into(), &320.into()));
    assert_eq!(verdicts[0]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(verdicts[1]["error_kind"], "damaged_image");
    // the configuration's own rules count
    bench.configure("[images]\nmax_pixels = 1000\n");
    let (_, out, _) = run(&bench, &["inspect", "--json", &sound]).await;
    assert!(out.contains("too_many_pixels"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn show_tells_one_file_whole() {
    let mut bench = Bench::new().await;
    let path = bench.drop_file(OWN, "a.jpg", b"text");
    bench.once().await;
    let (code, by_id, _) = run(&bench, &["show", "1"]).await;
    assert_eq!(code, 0);
    insta::assert_snapshot!("show", steady(&bench, &by_id));
    let (_, by_path, _) = run(&bench, &["show", path.to_str().unwrap()]).await;
    assert_eq!(by_path, by_id);
    let (_, by_name, _) = run(&bench, &["show", "OWNBRAND/1001/a.jpg"]).await;
    assert_eq!(by_name, by_id);
    let (code, _, err) = run(&bench, &["show", "99"]).await;
    assert_eq!(code, 1);
    assert_eq!(err, "brandpost: 99 is unknown: write an id from `brandpost status`, or the path of a file\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn steering_says_what_it_did_or_why_not() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    let table: [(&[&str], i32, &str); 11] = [
        (
            &["release", OWN, "1"],
            0,
            "slot 1 of OWNBRAND/1001 released; a waiting file takes it, else the next new one\n",
        ),
        (&["release", OWN, "1"], 1, "brandpost: slot 1 of OWNBRAND/1001 is free already\n"),
        (
            &["reserve", OWN, "9", "10"],
            0,
            "slots 9, 10 of OWNBRAND/1001 reserved; no file takes it until it is released\n",
        ),
        (&["reserve", OWN, "11"], 1, "brandpost: OWNBRAND/1001 has slots 1 to 10, not 11\n"),
        (
            &["release", OWN, "9"],
            0,
            "slot 9 of OWNBRAND/1001 released; a waiting file takes it, else the next new one\n",
        ),
        (
            &["release", "OWNBRAND/5", "1"],
            1,
            "brandpost: OWNBRAND/5 is unknown: it has no folder yet; `brandpost status` lists what there is\n",
        ),
        (&["retry", "1"], 0, "1 file is on the way again\n"),
        (&["retry", "77"], 1, "brandpost: there is no upload 77; `brandpost status` lists them\n"),
        (&["retry", "--rejected"], 0, "0 files are on the way again\n"),
        (
            &["retry", "front.jpg"],
            1,
            "brandpost: \"front.jpg\" is neither an id nor a brand; `brandpost status` shows both\n",
        ),
        (
            &["status", "OWNBRAND/5"],
            1,
            "brandpost: OWNBRAND/5 is unknown: it has no folder yet; `brandpost status` lists what there is\n",
        ),
    ];
    for (args, code, text) in table {
        let (found, out, err) = run(&bench, args).await;
        assert_eq!((found, (out + &err).as_str()), (code, text), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_one_clear_line() {
    let bench = Bench::new().await;
    let fail = async |extra: &str, args: &[&str]| {
        bench.configure(extra);
        let (code, _, err) = run(&bench, args).await;
        assert_eq!(code, 1, "{extra}: {err}");
        let last = err.lines().last().unwrap_or_default().to_owned();
        steady(&bench, &last)
    };
    let mut lines = vec![
        fail("[watch]\nroot = \"nowhere\"\n", &["run", "--once"]).await,
        fail("[database]\npath = \"nowhere/brandpost.db\"\n", &["run", "--once"]).await,
        fail("[database]\npath = \"none.db\"\n", &["show", "1"]).await,
        fail("[limits]\nconcurency = 4\n", &["run"]).await,
    ];
    fs::remove_file(bench.folder.path().join("secret")).unwrap();
    lines.push(fail("", &["run", "--once"]).await);
    fs::write(bench.folder.path().join("garbage.db"), "this is no database at all, is it".repeat(100))
        .unwrap();
    write_private(&bench.folder.path().join("secret"), "x");
    lines.push(fail("[database]\npath = \"garbage.db\"\n", &["run", "--once"]).await);
    insta::assert_snapshot!("bad_input", lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_start_there_are_no_files_and_no_brands() {
    let bench = Bench::new().await;
    bench.configure("[database]\npath = \"none.db\"\n");
    for (command, things) in [("status", "files"), ("brands", "brands")] {
        let (code, out, _) = run(&bench, &[command]).await;
        let said = format!("no {things} yet: there is no database before the first start\n");
        assert_eq!((code, out), (0, said));
        assert_eq!(run(&bench, &[command, "--json"]).await.1, "[]\n");
        let (_, csv, _) = run(&bench, &[command, "--csv"]).await;
        assert!(csv.starts_with(if command == "status" { "id," } else { "brand_type," }), "{csv}");
    }
}

#[test]
fn usage_errors_exit_2() {
    for args in
        [&["fly"][..], &["status", "nonsense"], &["status", "--state", "done"], &["retry"], &["release", OWN]]
    {
        let output = brandpost(Path::new("config.toml"), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn the_sample_configuration_is_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    brandpost::config::Settings::load(&root.join("config.toml")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_a_whole_database() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.quiet().await;
    let copy = bench.folder.path().join("copy.db");
    let (code, _, err) = run(&bench, &["backup", copy.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{err}");
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it is for its owner alone");
    let report = brandpost::ledger::Report::open(&copy).await.unwrap();
    assert_eq!(report.counts(None).await.unwrap().total(), 1);
    let (code, _, _) = run(&bench, &["backup", copy.to_str().unwrap()]).await;
    assert_eq!(code, 1, "a backup is never overwritten");
    bench.stop().await;
}

/// As on a full disk: no file may become longer than 64 KiB.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_does_not_fit_leaves_no_file() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    let copy = bench.folder.path().join("copy.db");
    let script = "trap '' XFSZ; ulimit -f 128; exec \"$1\" --config \"$2\" backup \"$3\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_brandpost")]).arg(bench.config()).arg(&copy);
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let left: Vec<_> =
        fs::read_dir(bench.folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("copy")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_lie_open_are_refused() {
    let bench = Bench::new().await;
    let path = |name: &str| bench.folder.path().join(name);
    let open = |name: &str, mode| fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
    fs::write(path("token"), "iot-token").unwrap();
    fs::write(path("webhook"), "http://127.0.0.1:9/key").unwrap();
    fs::write(path("robot"), "SEC123").unwrap();
    let keys = "webhook_file = \"webhook\"\nsecret_file = \"robot\"\n";
    bench.configure(&format!("[alerts]\n{keys}"));
    let text = fs::read_to_string(bench.config()).unwrap();
    let with_token = text.replace("app_secret_file", "iot_token_file = \"token\"\napp_secret_file");
    write_private(&bench.config(), &with_token);
    let files = [
        ("secret", "gateway.app_secret"),
        ("token", "gateway.iot_token"),
        ("webhook", "alerts.webhook"),
        ("robot", "alerts.secret"),
    ];
    for (name, _) in files {
        open(name, 0o600);
    }
    let (code, out, _) = run(&bench, &["check"]).await;
    assert_eq!(code, 0, "{out}");
    for (name, key) in files {
        assert!(out.contains(&format!("ok    secret    {key} is there")), "{out}");
        open(name, 0o644);
        let file = path(name).display().to_string();
        let words = format!("{file} holds {key}, and other users can read it: run `chmod o-r {file}`");
        let (code, out, _) = run(&bench, &["check"]).await;
        assert!(code == 1 && out.contains(&format!("FAIL  secret    {words}")), "{out}");
        let (code, _, err) = run(&bench, &["run", "--once"]).await;
        assert!(code == 1 && err.contains(&words), "{err}");
        open(name, 0o600);
    }
    bench.configure("[alerts]\nwebhook = \"http://127.0.0.1:9/key\"\n");
    open("config.toml", 0o644);
    let (code, _, err) = run(&bench, &["run", "--once"]).await;
    assert!(code == 1 && err.contains("alerts.webhook is in"), "{err}");
    assert!(!err.contains("/key"), "{err}");
}

/// Asked in the moment in which the daemon makes its database.
#[tokio::test(flavor = "multi_thread")]
async fn status_of_a_database_that_is_being_made_is_empty() {
    let bench = Bench::new().await;
    fs::write(bench.database(), "").unwrap();
    assert_eq!(run(&bench, &["status", "--json"]).await, (0, "[]\n".into(), String::new()));
}

#[test]
fn help_completions_and_the_manual_are_there() {
    let help = brandpost(Path::new("c"), &["--help"]);
    insta::assert_snapshot!("help", String::from_utf8(help.stdout).unwrap());
    for args in [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]] {
        let output = brandpost(Path::new("c"), args);
        assert!(
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains("brandpost"),
            "{args:?}"
        );
    }
}

pub(crate) const ZH: &str = "zh_CN.UTF-8";

#[tokio::test(flavor = "multi_thread")]
async fn operators_in_china_read_chinese() {
    let bench = Bench::new().await;
    bench.drop_file(OWN, "营业执照".repeat(20), &jpg(2));
    bench.drop_file(OWN, "c.jpg", b"text");
    let mut seen = Vec::new();
    for args in [
        &["run", "--once"][..],
        &["status"],
        &["brands"],
        &["show", "1"],
        &["show", "2"],
        &["show", "99"],
        &["reserve", OWN, "9", "10"],
        &["release", OWN, "9"],
        &["retry", "1"],
        &["pause"],
        &["resume"],
        &["resume"],
    ] {
        let args: Vec<_> = [ZH].into_iter().chain(args.iter().copied()).collect();
        let (code, out, err) = run(&bench, &args).await;
        let err = if args.contains(&"--once") { String::new() } else { err };
        seen.push(format!("{} → {code}\n{out}{err}", args[1..].join(" ")));
    }
    let seen = steady(&bench, &seen.join("\n"));
    let stays = |line: &&str| {
        let differs = ["对象", "etag", "请求 ID", "sha256"].iter().any(|name| line.starts_with(name));
        !differs && !line.contains(" ms ")
    };
    // how long something took decides how wide its column is
    let narrow = |line: &str| match line.starts_with("次数") {
        true => line.split_whitespace().collect::<Vec<_>>().join("  "),
        false => line.to_owned(),
    };
    insta::assert_snapshot!("chinese", seen.lines().filter(stays).map(narrow).collect::<Vec<_>>().join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_as_csv_and_since_a_time() {
    let bench = Bench::new().await;
    let (code, out, _) = run(&bench, &["status", "--csv"]).await;
    assert_eq!((code, out.lines().count()), (0, 1), "{out}");
    bench.drop_file(OWN, "a,\"b\".jpg", &jpg(1));
    run(&bench, &["run", "--once"]).await;
    let (_, out, _) = run(&bench, &["status", "--csv"]).await;
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("id,brand_type,brand_id,file_name,path,state,slot,"), "{out}");
    assert!(lines[1].starts_with("1,OWNBRAND,1001,\"a,\"\"b\"\".jpg\","), "{out}");
    let (_, out, _) = run(&bench, &["brands", "--csv"]).await;
    assert!(out.lines().nth(1).unwrap().starts_with("OWNBRAND,1001,10,1,0,0,0,0,1,0,0,0,"), "{out}");
    for (since, count) in [("1h", 1), ("2100-01-01", 0)] {
        let (_, out, _) = run(&bench, &["status", "--json", "--since", since]).await;
        assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&out).unwrap().len(), count, "{since}");
    }
    assert_eq!(run(&bench, &["status", "--since", "soon"]).await.0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_not_sent_until_it_is_resumed() {
    let mut bench = Bench::new().await;
    bench.start().await;
    bench.quiet().await;
    assert_eq!(run(&bench, &["pause", "stock-taking"]).await.0, 0);
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.seen(OWN).await;
    assert_eq!(bench.row("a.jpg").await.state, State::Queued);
    let (_, out, _) = run(&bench, &["status"]).await;
    assert!(out.contains("uploads are paused by an operator: stock-taking"), "{out}");
    assert_eq!(run(&bench, &["resume"]).await.0, 0);
    bench.until_state("a.jpg", brandpost::domain::upload::State::Uploaded).await;
    bench.stop().await;
}

/// The old way took colours out of a pipe, and parts of names with them.
#[tokio::test(flavor = "multi_thread")]
async fn names_reach_programs_whole_and_spreadsheets_find_no_formula() {
    let bench = Bench::new().await;
    let name = "=HYPERLINK(1)\u{1b}[31m\u{202e}.jpg";
    bench.drop_file(OWN, name, &jpg(1));
    run(&bench, &["run", "--once"]).await;
    let (_, out, _) = run(&bench, &["status", "--csv"]).await;
    assert!(out.lines().nth(1).unwrap().starts_with(&format!("1,OWNBRAND,1001,'{name},/")), "{out:?}");
    let (_, out, _) = run(&bench, &["status", "--json"]).await;
    assert!(!out.contains(['\u{1b}', '\u{202e}']), "{out:?}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap()[0]["file_name"], name);
    let (_, out, _) = run(&bench, &["show", "1"]).await;
    assert!(!out.contains(['\u{1b}', '\u{202e}']), "{out:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_one_click_away() {
    let bench = Bench::new().await;
    let (code, _, err) = run(&bench, &["page"]).await;
    assert!(code == 1 && err.contains("http.listen is not set"), "{err}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    bench.configure(&format!("[http]\nlisten = \"127.0.0.1:{port}\"\n"));
    let (code, _, err) = run(&bench, &["page"]).await;
    assert!(code == 1 && err.contains("there is no token yet"), "{err}");
    // as the unit runs it
    let runtime = bench.folder.path().join("run");
    fs::create_dir(&runtime).unwrap();
    let daemon = Process::with(&bench, &[("RUNTIME_DIRECTORY", runtime.to_str().unwrap())]);
    crate::crash::wait_for("the token", async || run(&bench, &["page"]).await.0 == 0).await;
    let (_, out, err) = run(&bench, &["page"]).await;
    let token = fs::read_to_string(runtime.join("token")).unwrap();
    assert_eq!((out, err), (format!("http://127.0.0.1:{port}/#token={token}"), String::new()));
    // an error means that it is installed already
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("http://127.0.0.1:{port}/api/v1/summary");
    let served = async || {
        let request = reqwest::Client::new().get(&url).bearer_auth(token.trim());
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    };
    crate::crash::wait_for("the page", served).await;
    daemon.kill();
    let log = fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap();
    assert!(log.contains("`brandpost page` prints") && !log.contains(token.trim()), "{log}");
    let (_, _, err) = run(&bench, &["page"]).await;
    assert!(err.starts_with("brandpost: no daemon runs now, so there is no page"), "{err}");
}

/// Uploads need no page. And who has the port meanwhile is not shown the token.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_in_use_keeps_nothing_from_being_uploaded() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let bench = Bench::with(&format!("[http]\nlisten = \"{address}\"\n")).await;
    let (code, out, _) = run(&bench, &["check"]).await;
    assert!(code == 1 && out.contains("cannot be used"), "{out}");
    fs::write(bench.folder.path().join("brandpost.db.token"), "ab".repeat(32)).unwrap();
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    let daemon = Process::start(&bench);
    crate::crash::wait_for("the upload", async || bench.counts_so_far().await.of(State::Uploaded) == 1).await;
    let (_, out, _) = run(&bench, &["status"]).await;
    assert!(out.contains(&format!("\"{address}\" cannot be used")), "{out}");
    let (code, out, err) = run(&bench, &["page"]).await;
    assert!(code == 1 && out.is_empty() && err.contains("must not get the token"), "{out}{err}");
    drop(taken);
    crate::crash::wait_for("the page", async || run(&bench, &["page"]).await.0 == 0).await;
    daemon.kill();
    let log = fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap();
    assert_eq!(log.matches("cannot be used").count(), 1, "{log}");
    let (_, out, _) = run(&bench, &["status"]).await;
    assert!(!out.contains("cannot be used"), "{out}");
}

struct Service(std::process::Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// With real user ids: the service, a member of its group, and somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn other_accounts_of_the_machine_are_no_operators() {
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    const SERVICE: u32 = 64_711;
    if !rustix::process::geteuid().is_root() {
        eprintln!(
            "SKIPPED, and nothing of it is tested: other_accounts_of_the_machine_are_no_operators needs root"
        );
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let http = format!("[http]\nlisten = \"127.0.0.1:{port}\"\n[database]\npath = \"state/brandpost.db\"\n");
    let bench = Bench::with(&http).await;
    let folder = bench.folder.path().to_owned();
    let program = folder.join("brandpost");
    copy_program(env!("CARGO_BIN_EXE_brandpost"), &program);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(bench.config(), fs::Permissions::from_mode(0o644)).unwrap();
    for (name, mode) in [("state", 0o750), ("run", 0o750), ("inbox", 0o750), ("secret", 0o600)] {
        let path = folder.join(name);
        let _ = fs::create_dir(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        chown(path, Some(SERVICE), Some(SERVICE)).unwrap();
    }
    let as_user = |user: u32, group: u32, command: &str| {
        let mut line = Command::new(&program);
        line.arg("--config")
            .arg(folder.join("config.toml"))
            .arg(command)
            .current_dir("/")
            .uid(user)
            .gid(group);
        line
    };
    let mut service = as_user(SERVICE, SERVICE, "run");
    service.env("RUNTIME_DIRECTORY", folder.join("run")).stderr(std::process::Stdio::null());
    let _service = Service(service.spawn().unwrap());
    let page = |user, group| {
        let output = as_user(user, group, "page").env("LC_ALL", "C").output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    crate::crash::wait_for("the token", async || folder.join("run/token").exists()).await;
    let token = fs::read_to_string(folder.join("run/token")).unwrap();
    let address = format!("http://127.0.0.1:{port}/#token={token}");
    let member = page(SERVICE + 1, SERVICE);
    assert_eq!((member.0, &member.1), (0, &address), "{}", member.2);
    let stranger = page(SERVICE + 2, SERVICE + 2);
    assert!(stranger.0 == 1 && stranger.1.is_empty(), "{stranger:?}");
    assert!(stranger.2.contains("may not read the token: run `sudo brandpost page`"), "{stranger:?}");
    assert_eq!(page(0, 0).1, address, "root");
}

#[tokio::test(flavor = "multi_thread")]
async fn brands_are_shown_with_their_labels() {
    let mut bench = Bench::new().await;
    bench.drop_file("OWNBRAND/1001-海尔\u{202e}\u{1b}[31m", "a.jpg", &jpg(1));
    bench.once().await;
    let id = bench.row("a.jpg").await.id.to_string();
    for command in [&["status"][..], &["brands"], &["show", &id], &["brands", "海尔"]] {
        let (code, out, _) = run(&bench, command).await;
        assert!(code == 0 && out.contains("OWNBRAND/1001 海尔\\u{202e}\\u{1b}[31m"), "{command:?}: {out}");
    }
    let (_, out, _) = run(&bench, &["brands", "--json"]).await;
    let brands: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(brands[0]["label"], "海尔\u{202e}\u{1b}[31m");
    let (_, out, _) = run(&bench, &["brands", "--csv"]).await;
    assert!(out.lines().next().unwrap().ends_with(",last_uploaded_at,label"), "{out}");
}

/// What a new user does wrong first: the configuration, the secret, the arguments.
#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_named_in_chinese() {
    let bench = Bench::new().await;
    let config = bench.folder.path().join("config.toml");
    let good = fs::read_to_string(&config).unwrap();
    let cases = [
        (good.replace("app_key", "app_kye"), "gateway.app_kye：没有配置项 app_kye"),
        (good.replace("app_key", "app_kye"), "gateway.app_key：没有填写"),
        (
            good.replace("\"30001234\"", "30001234"),
            "gateway.app_key：应为文本，要加英文双引号，写的是整数 30001234",
        ),
        (good.replacen("[gateway]", "[gateway]\ntimeout = 1", 1), "gateway.timeout：应为时间"),
        (good.replacen("[gateway]", "[gateway]\nstage = “PRE”", 1), "用了中文引号"),
    ];
    for (text, expected) in cases {
        write_private(&config, &text);
        for args in [&[ZH, "check"][..], &[ZH, "status"]] {
            let (code, out, err) = run(&bench, args).await;
            let said = out + &err;
            assert!(code == 1 && said.contains(expected), "{args:?}: {expected}");
            assert!(said.matches("gateway.app_key：").count() <= 1, "one mistake, one line: {said}");
        }
    }
    write_private(&config, &good);
    fs::remove_file(bench.folder.path().join("secret")).unwrap();
    let (_, out, _) = run(&bench, &[ZH, "check", "--config-only"]).await;
    assert!(out.contains("读取 gateway.app_secret：没有这个文件或目录"), "{out}");
    for (args, expected) in [
        (&[ZH, "status", "1001"][..], "“1001”不是品牌，请写成 OWNBRAND/1001"),
        (&[ZH, "statsu"], "没有“statsu”这个命令；是不是 status？"),
        (&[ZH, "status", "--state", "好"], "rejected"),
    ] {
        let (code, _, err) = run(&bench, args).await;
        assert!(code == 2 && err.contains(expected) && err.contains("错误："), "{err}");
    }
    assert_eq!(run(&bench, &[ZH, "status", "--state", "不合格"]).await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_below_a_brands_are_named() {
    let bench = Bench::new().await;
    bench.brand(OWN);
    fs::create_dir_all(bench.folder.path().join("inbox/OWNBRAND/1001/子目录")).unwrap();
    fs::create_dir_all(bench.folder.path().join("inbox/OWNBRAND/1001/@eaDir")).unwrap();
    run(&bench, &["run", "--once"]).await;
    for command in ["check", "status"] {
        let (_, out, _) = run(&bench, &[ZH, command]).await;
        assert!(out.contains("1001/子目录：品牌目录里的子文件夹不会处理") && !out.contains("eaDir"), "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn brands_names_the_slots_that_are_reserved() {
    let bench = Bench::new().await;
    run(&bench, &["reserve", OWN, "3", "7"]).await;
    run(&bench, &["reserve", "OTHERBRAND/2", "1"]).await;
    let (_, out, _) = run(&bench, &["brands"]).await;
    assert!(
        out.contains("OWNBRAND/1001: reserved: 3, 7\n") && out.contains("OTHERBRAND/2: reserved: 1\n"),
        "{out}"
    );
    run(&bench, &["release", OWN, "3", "7"]).await;
    let (_, out, _) = run(&bench, &["brands", "1001"]).await;
    assert!(out.contains(OWN) && !out.contains("reserved:"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_one_brand_says_nothing_of_others() {
    let bench = Bench::with("[[brand]]\ntype = \"OWNBRAND\"\nid = 5\npath = \"away\"\n").await;
    for folder in ["OWNBRAND/1001/mine", "OWNBRAND/1002/theirs", "OWNBRAND/nobodys"] {
        fs::create_dir_all(bench.folder.path().join("inbox").join(folder)).unwrap();
    }
    run(&bench, &["run", "--once"]).await;
    let (_, out, _) = run(&bench, &["status"]).await;
    for words in ["1001/mine", "1002/theirs", "OWNBRAND/nobodys", "not there: "] {
        assert!(out.contains(words), "{words}: {out}");
    }
    let (_, out, _) = run(&bench, &["status", OWN]).await;
    assert!(out.contains("1001/mine"), "{out}");
    for words in ["1002/theirs", "OWNBRAND/nobodys", "not there: "] {
        assert!(!out.contains(words), "{words}: {out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_closes_the_pipe_ends_a_watched_status_without_a_word() {
    let bench = Bench::new().await;
    run(&bench, &["run", "--once"]).await;
    let config = bench.config();
    let ended = tokio::task::spawn_blocking(move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_brandpost"));
        command.arg("--config").arg(config).args(["status", "--watch"]);
        let pipes = (std::process::Stdio::piped(), std::process::Stdio::piped());
        let mut child = command.stdout(pipes.0).stderr(pipes.1).spawn().unwrap();
        drop(child.stdout.take());
        child.wait_with_output().unwrap()
    });
    let output = ended.await.unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(141), String::new()));
}
