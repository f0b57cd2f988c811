//! What `check` and `status` tell operators about the machine: rights, disks, zones.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use crate::support::pictures::jpg;
use crate::support::process::copy_program;
use crate::support::{Bench, OTHER, OWN};

/// Nobody: who the service is where these tests are root's.
const NOBODY: u32 = 65534;

fn are_we_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The database and its folder are the service's, which is not root.
fn hand_over(bench: &Bench) {
    set_mode(bench.folder.path(), 0o755);
    if are_we_root() {
        for entry in fs::read_dir(bench.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("brandpost.db") {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        chown(bench.folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

fn command(bench: &Bench, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brandpost"));
    command.arg("--config").arg(bench.config()).args(args);
    command.env("TZ", "UTC").env("LC_ALL", "C").env_remove("BRANDPOST_CONFIG");
    command
}

fn run(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_the_service_cannot_read_is_named() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    hand_over(&bench);
    let (own, other) = (bench.brand(OWN), bench.brand(OTHER));
    set_mode(&own, 0o000);
    // names can be read, files cannot be opened
    set_mode(&other, 0o444);
    for args in [&["check"][..], &["status"]] {
        let (code, out) = run(command(&bench, args));
        assert_eq!(code, i32::from(args == ["check"]), "{out}");
        for folder in [&own, &other] {
            let named = |line: &str| {
                let folder = folder.display();
                let checked = format!("FAIL  folders   {folder} cannot be read: Permission denied");
                line.starts_with(&checked)
                    || line.starts_with(&format!("cannot be read: {folder}: Permission denied"))
            };
            assert!(out.lines().any(named), "{args:?} {out}");
        }
    }
    set_mode(&own, 0o755);
    set_mode(&other, 0o755);
    let (code, out) = run(command(&bench, &["check"]));
    assert_eq!(code, 0, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_folder_that_is_not_there_is_said_not_to_be() {
    let entry = "[[brand]]\ntype = \"OWNBRAND\"\nid = 7\npath = \"shared/acme\"\n";
    let mut bench = Bench::with(entry).await;
    bench.once().await;
    let (code, out) = run(command(&bench, &["check"]));
    assert!(code == 1 && out.contains("shared/acme is not there; make the folder"), "{out}");
    let (_, out) = run(command(&bench, &["status"]));
    assert!(out.contains("shared/acme"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_written_and_what_waits_are_named() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    hand_over(&bench);
    if are_we_root() {
        chown(bench.folder.path(), Some(0), Some(0)).unwrap();
    }
    set_mode(bench.folder.path(), 0o555);
    let waiting = bench.drop_file(OWN, "b.jpg", &jpg(2));
    let (code, out) = run(command(&bench, &["check"]));
    let folder = bench.folder.path().display();
    let line = format!(
        "FAIL  database  {folder} cannot be written; give the file and its folder to the service's user"
    );
    assert!(code == 1 && out.contains(&line), "{out}");
    let (_, out) = run(command(&bench, &["status"]));
    set_mode(bench.folder.path(), 0o755);
    assert!(
        out.contains(&format!("nothing can be written to the database: {folder} cannot be written")),
        "{out}"
    );
    assert!(out.contains(&format!("waits to be taken in: {}", waiting.display())), "{out}");
    assert!(!out.contains(&format!("in: {}", waiting.with_file_name("a.jpg").display())), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_without_a_daemon_works_where_nothing_can_be_written() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    let program = bench.folder.path().join("brandpost");
    copy_program(env!("CARGO_BIN_EXE_brandpost"), &program);
    set_mode(&bench.config(), 0o644);
    set_mode(&bench.database(), 0o444);
    set_mode(bench.folder.path(), 0o555);
    let mut status = Command::new(program);
    status.arg("--config").arg(bench.config()).arg("status").env("LC_ALL", "C");
    if are_we_root() {
        status.uid(NOBODY).gid(NOBODY);
    }
    let (code, out) = run(status);
    set_mode(bench.folder.path(), 0o755);
    assert!(code == 0 && out.contains("1 file: 1 uploaded"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_zone_may_be_named_in_every_way_that_systems_know() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    let updated: Timestamp = bench.row("a.jpg").await.updated_at.parse().unwrap();
    let there =
        |time: Timestamp| (time + SignedDuration::from_hours(8)).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let zones = [
        "Asia/Shanghai",
        ":Asia/Shanghai",
        "PRC",
        "CST-8",
        "<+08>-8",
        "/usr/share/zoneinfo/Asia/Shanghai",
        ":/usr/share/zoneinfo/Asia/Shanghai",
    ];
    for zone in
        zones.into_iter().filter(|zone| !zone.contains("/usr/") || Path::new("/usr/share/zoneinfo").exists())
    {
        let with_zone = |args: &[&str]| {
            let mut command = command(&bench, args);
            command.env("TZ", zone);
            run(command).1
        };
        let out = with_zone(&["status"]);
        assert!(out.contains(&there(updated)), "{zone}: {out}");
        for (before, count) in [(2, 1), (-2, 0)] {
            let since = there(updated - SignedDuration::from_secs(before));
            let out = with_zone(&["status", "--json", "--since", &since]);
            assert_eq!(out.matches("a.jpg\"").count() / 2, count, "{zone} {since}: {out}");
        }
    }
    let mut unknown = command(&bench, &["status"]);
    unknown.env("TZ", "Mars/Olympus");
    let (code, out) = run(unknown);
    assert!(code == 0 && out.contains("the time zone is unknown, times are UTC"), "{out}");
}
