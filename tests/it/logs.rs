//! What is logged once, however many files it is true of.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brandpost::domain::notice::NoticeName;
use brandpost::domain::upload::State;

use crate::crash::wait_for;
use crate::support::pictures::jpg;
use crate::support::process::Process;
use crate::support::{Bench, OTHER, OWN};

fn log(bench: &Bench) -> String {
    fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_find_no_slot_are_one_warning() {
    let bench = Bench::new().await;
    let picture = |seed: u16| [jpg(1), seed.to_le_bytes().to_vec()].concat();
    for seed in 0..150 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &picture(seed));
    }
    for name in ["a.txt", "b.txt"] {
        bench.drop_file(OWN, name, name.as_bytes());
    }
    let process = Process::start(&bench);
    wait_for("all are recorded", async || bench.counts_so_far().await.total() == 152).await;
    for seed in 200..205 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &picture(seed));
        wait_for("it is recorded", async || bench.rows().await.len() == usize::from(seed) - 200 + 153).await;
    }
    process.kill();
    let log = log(&bench);
    assert_eq!(log.matches("slots of this brand are taken").count(), 1, "{log}");
    assert!(log.contains("count=140") && log.contains("10.jpg, 11.jpg, 12.jpg and 137 more"), "{log}");
    assert_eq!(log.matches("this is a text file").count(), 1, "{log}");
    assert!(log.contains("a.txt, b.txt"), "{log}");
}

async fn until_logged(bench: &Bench, words: &str, folder: &Path) {
    let logged = |line: &str| line.contains(words) && line.contains(folder.to_str().unwrap());
    let wait = wait_for(words, async || log(bench).lines().any(logged));
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    assert!(waited.is_ok(), "not logged: {words}\n{}", log(bench));
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_cannot_be_read_and_are_back_are_said_to_be() {
    let quick = "[watch]\npoll_interval = \"100ms\"\nrescan = \"200ms\"\nsettle = \"100ms\"\n";
    let bench = Bench::with(quick).await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.drop_file(OTHER, "b.jpg", &jpg(2));
    let (brand, kind) = (bench.brand(OWN), bench.brand(OTHER).parent().unwrap().to_owned());
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(&brand, 0o000);
    let process = Process::start_as_nobody(&bench);
    wait_for("one is sent", async || bench.counts_so_far().await.of(State::Uploaded) == 1).await;
    until_logged(
        &bench,
        "the folder cannot be read; its files wait (give the service's user access to it)",
        &brand,
    )
    .await;
    let notices = async || bench.report().await.notices().await.unwrap();
    let told = || wait_for("the notice", async || !notices().await.is_empty());
    told().await;
    let text = format!(
        "the folder {} cannot be read, and its files wait (Permission denied (os error 13))",
        brand.display()
    );
    assert_eq!((notices().await[0].name, &notices().await[0].message), (NoticeName::Unreadable, &text));
    set_mode(&brand, 0o755);
    until_logged(&bench, "the folder can be read again", &brand).await;
    wait_for("the notice is taken back", async || notices().await.is_empty()).await;
    for _ in 0..2 {
        fs::write(bench.folder.path().join("daemon.log"), "").unwrap();
        set_mode(&kind, 0o000);
        until_logged(&bench, "the folder cannot be read; what is in it waits", &kind).await;
        set_mode(&kind, 0o755);
        until_logged(&bench, "the folder can be read again", &kind).await;
    }
    set_mode(&kind, 0o000);
    told().await;
    assert!(notices().await[0].message.contains(kind.to_str().unwrap()), "{:?}", notices().await);
    // a restart neither takes it back nor says it again
    let since = notices().await[0].since.clone();
    process.kill();
    let process = Process::start_as_nobody(&bench);
    wait_for("it works", async || bench.counts_so_far().await.of(State::Uploaded) == 2).await;
    assert_eq!(notices().await[0].since, since);
    set_mode(&kind, 0o755);
    wait_for("the notice is taken back", async || notices().await.is_empty()).await;
    assert!(!log(&bench).contains("max_user_watches"));
    process.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_may_read_again_is_taken_by_itself() {
    for mode in ["native", "poll"] {
        let watch = format!("[watch]\nmode = \"{mode}\"\npoll_interval = \"100ms\"\nsettle = \"100ms\"\n");
        let missing = "[[brand]]\ntype = \"OWNBRAND\"\nid = 7\npath = \"none\"\n";
        let bench = Bench::with(&format!("{watch}{missing}")).await;
        let file = bench.drop_file(OWN, "a.jpg", &jpg(1));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        let process = Process::start_as_nobody(&bench);
        until_logged(
            &bench,
            "Let the service's user read the file; it is taken by itself then",
            Path::new("a.jpg"),
        )
        .await;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        wait_for("it is sent", async || bench.counts_so_far().await.of(State::Uploaded) == 1).await;
        let words = "is not there; its files wait (make it, or correct the path of its [[brand]])";
        until_logged(&bench, words, &bench.folder.path().join("none")).await;
        process.kill();
    }
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(text).count()
    }
}

#[tokio::test]
async fn a_folder_that_comes_and_goes_in_a_loop_does_not_flood_the_log() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mapped = "[[brand]]\ntype = \"OWNBRAND\"\nid = 7\npath = \"outside\"\n";
    let mut bench = Bench::with(&format!("[watch]\npoll_interval = \"50ms\"\n{mapped}")).await;
    bench.start().await;
    let (mut intake, outside) = (bench.intake(), bench.folder.path().join("outside"));
    for _ in 0..10 {
        intake.wait_for(|intake| intake.discovered && intake.unreadable == 1).await.unwrap();
        fs::create_dir(&outside).unwrap();
        intake.wait_for(|intake| intake.unreadable == 0).await.unwrap();
        fs::remove_dir(&outside).unwrap();
    }
    bench.stop().await;
    assert_eq!(logged.count("is not there; its files wait"), 3);
    assert_eq!(logged.count("the folder can be read again"), 3);
}
