//! A file system that stops to answer in the middle of an upload holds up nothing else: a real one in userspace, and the
//! real binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use brandpost::config::Settings;
use brandpost::domain::clock::{Clock, SystemClock};
use brandpost::domain::failure::ErrorKind;
use brandpost::domain::upload::State;
use brandpost::files::is_mount_point;
use brandpost::intake::Intake;
use brandpost::ledger::StatusRow;
use brandpost::metrics::Metrics;
use sandbox::{Fault, FaultAction, Service};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::pictures::jpg;
use crate::support::process::Process;
use crate::support::{Bench, OTHER};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that is served by bindfs.
struct Mount {
    server: Child,
    at: PathBuf,
    from: PathBuf,
}

impl Mount {
    /// `None` where it cannot be mounted.
    async fn new(test: &str, folder: &Path) -> Option<Self> {
        Self::at(test, folder, folder.join("mounted")).await
    }

    async fn at(test: &str, folder: &Path, at: PathBuf) -> Option<Self> {
        let from = folder.join("real");
        fs::create_dir(&from).unwrap();
        fs::create_dir_all(&at).unwrap();
        let mut bindfs = Command::new("bindfs");
        bindfs.args(["-f", "-o", "attr_timeout=0,entry_timeout=0"]).args([&from, &at]).stderr(Stdio::null());
        let server = bindfs.spawn();
        let end = Instant::now() + Duration::from_secs(5);
        while server.is_ok() && !is_mount_point(&at).unwrap() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        match server {
            Ok(server) if is_mount_point(&at).unwrap() => Some(Self { server, at, from }),
            _ => {
                eprintln!("\n***** SKIPPED, because it needs bindfs and /dev/fuse: hung::{test} *****\n");
                None
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.server.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // what waits for it is answered with an error
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

/// A bench with a folder of its own on the mount, a daemon with one thread for all that does not block, and a cloud that
/// does this with what comes from there.
async fn start(mount: &Mount, action: FaultAction) -> (Bench, Process) {
    let path = mount.at.display();
    let extra = format!(
        "[[brand]]\ntype = \"OWNBRAND\"\nid = 77\npath = \"{path}\"\n[oss]\nhttps = \"allow\"\ntimeout = \"3s\"\n"
    );
    let bench = Bench::with(&extra).await;
    bench.brand(OTHER);
    let matches = Some("OWNBRAND/77".to_owned());
    bench.sandbox.fault(Fault { service: Service::Oss, times: None, skip: 0, matches, action });
    let daemon = Process::with(&bench, &[("TOKIO_WORKER_THREADS", "1")]);
    (bench, daemon)
}

async fn until(bench: &Bench, what: &str, holds: impl Fn(&[StatusRow]) -> bool) {
    let end = Instant::now() + PATIENCE;
    while bench.counts_so_far().await.total() == 0 || !holds(&bench.rows().await) {
        let log = fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap_or_default();
        assert!(Instant::now() < end, "waited in vain for: {what}\n{log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is(rows: &[StatusRow], name: &str, state: State) -> bool {
    rows.iter().any(|row| row.file_name == name && row.state == state)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_when_the_picture_was_sent_holds_up_no_other() {
    let place = tempfile::tempdir().unwrap();
    let Some(mount) =
        Mount::new("one_that_hangs_when_the_picture_was_sent_holds_up_no_other", place.path()).await
    else {
        return;
    };
    let (bench, daemon) = start(&mount, FaultAction::Delay { ms: 1500 }).await;
    fs::write(mount.from.join("a.jpg"), jpg(1)).unwrap();
    until(&bench, "a.jpg is being sent", |rows| is(rows, "a.jpg", State::Uploading)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    mount.signal("STOP");
    until(&bench, "a.jpg is uploaded", |rows| is(rows, "a.jpg", State::Uploaded)).await;
    bench.drop_file(OTHER, "b.jpg", &jpg(2));
    until(&bench, "another brand's file", |rows| is(rows, "b.jpg", State::Uploaded)).await;
    daemon.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_in_the_middle_of_a_picture_is_not_taken_for_a_cloud_that_hangs() {
    let place = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(
        "one_that_hangs_in_the_middle_of_a_picture_is_not_taken_for_a_cloud_that_hangs",
        place.path(),
    )
    .await
    else {
        return;
    };
    let (bench, daemon) = start(&mount, FaultAction::SlowRead { bytes_per_second: 4 << 20 }).await;
    fs::write(mount.from.join("a.gif"), large_gif(18 << 20)).unwrap();
    until(&bench, "a.gif is being sent", |rows| is(rows, "a.gif", State::Uploading)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    mount.signal("STOP");
    let gave_up = |rows: &[StatusRow]| rows.iter().any(|row| row.error_kind.is_some());
    until(&bench, "it is given up for now", gave_up).await;
    let row = bench.row("a.gif").await;
    assert_eq!(row.error_kind, Some(ErrorKind::FileChanged), "{row:?}");
    let message = row.error_message.unwrap();
    assert!(message.contains("its file system does not answer"), "{message}");
    daemon.kill();
}

/// One pixel, and a comment of so many bytes.
fn large_gif(size: usize) -> Vec<u8> {
    let mut gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xfe".to_vec();
    while gif.len() < size {
        gif.push(255);
        gif.extend([b' '; 255]);
    }
    gif.extend(b"\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;");
    gif
}

/// What it is asked is asked beside intake's loop, which goes on with the others.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_holds_up_no_step_of_intake() {
    let folder = tempfile::tempdir().unwrap();
    let name = "one_that_hangs_holds_up_no_step_of_intake";
    let Some(mount) = Mount::new(name, folder.path()).await else { return };
    let path = mount.at.display();
    let bench = Bench::with(&format!("[[brand]]\ntype = \"OWNBRAND\"\nid = 77\npath = \"{path}\"\n")).await;
    bench.brand(OTHER);
    let settings = Arc::new(Settings::load(&bench.config()).unwrap());
    let metrics = Metrics::new(SystemClock.now());
    let ledger = bench.ledger_of_its_own().await;
    let mut intake = Intake::new(settings, ledger, CancellationToken::new(), &metrics);
    intake.step().await.unwrap();
    while let Some(scan) = intake.next_scan() {
        intake.end(scan.await).unwrap();
    }
    mount.signal("STOP");
    for step in 0..3 {
        // once a second it is asked whether it is still the same folder
        tokio::time::sleep_until(intake.next_step()).await;
        let taken = tokio::time::timeout(Duration::from_secs(2), intake.step()).await;
        assert!(taken.is_ok(), "step {step} waits for it");
    }
    mount.signal("CONT");
}

/// Less than a listing is waited for, and more than a look at one name.
const SOON: Duration = Duration::from_secs(15);

async fn soon(bench: &Bench, name: &str) {
    let sent = until(bench, name, |rows| is(rows, name, State::Uploaded));
    tokio::time::timeout(SOON, sent).await.expect("soon");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_in_the_inbox_that_hangs_at_the_start_holds_up_no_other_folder() {
    let place = tempfile::tempdir().unwrap();
    let bench = Bench::new().await;
    let at = bench.brand("OWNBRAND/5");
    let name = "one_in_the_inbox_that_hangs_at_the_start_holds_up_no_other_folder";
    let Some(mount) = Mount::at(name, place.path(), at).await else { return };
    mount.signal("STOP");
    let daemon = Process::start(&bench);
    bench.drop_file(OTHER, "a.jpg", &jpg(1));
    soon(&bench, "a.jpg").await;
    bench.drop_file("OWNBRAND/6", "b.jpg", &jpg(2));
    soon(&bench, "b.jpg").await;
    mount.signal("CONT");
    daemon.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_folder_that_hangs_holds_up_no_new_folder_of_another_type() {
    let place = tempfile::tempdir().unwrap();
    let bench = Bench::with("[watch]\nmode = \"native\"\n").await;
    let at = bench.folder.path().join("inbox/OTHERBRAND");
    let name = "a_type_folder_that_hangs_holds_up_no_new_folder_of_another_type";
    let Some(mount) = Mount::at(name, place.path(), at).await else { return };
    let daemon = Process::start(&bench);
    bench.drop_file(OTHER, "a.jpg", &jpg(1));
    soon(&bench, "a.jpg").await;
    let log = fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap();
    assert!(log.contains("on FUSE"), "inotify has no watch on what a program serves:\n{log}");
    mount.signal("STOP");
    for (brand, name, seed) in [("OWNBRAND/6", "b.jpg", 2), ("OWNBRAND/7", "c.jpg", 3)] {
        bench.drop_file(brand, name, &jpg(seed));
        soon(&bench, name).await;
    }
    mount.signal("CONT");
    daemon.kill();
}
