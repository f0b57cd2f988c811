//! File systems that somebody mounts in the inbox, whose program never answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use brandpost::domain::failure::ErrorKind;
use brandpost::domain::notice::NoticeName;
use brandpost::domain::upload::State;

use crate::crash::wait_for;
use crate::support::pictures::jpg;
use crate::support::process::Process;
use crate::support::{Bench, OTHER, OWN};

/// Who mounts them.
const SOMEBODY: u32 = 47_130;

/// A file system in user space whose program reads no request: every call into it waits for ever.
struct SilentMount {
    program: Child,
    at: PathBuf,
}

impl SilentMount {
    /// `None`: this needs root and `/dev/fuse`.
    fn over(at: &Path) -> Option<Self> {
        let mode = if at.is_dir() { "40000" } else { "100000" };
        let options = format!("fd=3,rootmode={mode},user_id={SOMEBODY},group_id={SOMEBODY},allow_other");
        let script = "exec 3<>/dev/fuse && mount -i -t fuse.silent -o \"$1\" silent \"$2\" && exec sleep 600";
        let mut program = Command::new("sh");
        program.args(["-c", script, "sh", &options]).arg(at).stderr(Stdio::null());
        let mut mount = Self { program: program.spawn().unwrap(), at: at.to_owned() };
        let is_there = |mounts: String| mounts.contains(&format!(" {} fuse.silent ", at.display()));
        while !is_there(fs::read_to_string("/proc/self/mounts").unwrap()) {
            if mount.program.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::yield_now();
        }
        Some(mount)
    }
}

impl Drop for SilentMount {
    fn drop(&mut self) {
        // whoever waits gets an error when nobody can answer any more
        let _ = self.program.kill();
        let _ = self.program.wait();
        let _ = Command::new("umount").arg("-l").arg(&self.at).stderr(Stdio::null()).status();
    }
}

/// Threads of a process that wait for a file system in user space.
fn hanging_threads(process: &Process) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let waits = |task: &fs::DirEntry| fs::read_to_string(task.path().join("wchan")).unwrap_or_default();
    tasks.filter(|task| task.as_ref().is_ok_and(|task| waits(task).contains("request_wait_answer"))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_somebody_s_program_serves_is_not_asked() {
    let bench = Bench::with("[watch]\npoll_interval = \"100ms\"\nrescan = \"500ms\"\n").await;
    let (own, other) = (bench.brand(OWN), bench.brand(OTHER));
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    let (mounted, folder) = (own.with_file_name("1002"), own.with_file_name("1003"));
    let (file, kind) = (folder.join("x.jpg"), other.parent().unwrap().to_owned());
    fs::create_dir(&mounted).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(&file, "").unwrap();
    let Some(_folders) = SilentMount::over(&mounted) else {
        eprintln!("\n***** SKIPPED, because it needs root and /dev/fuse: mounted *****\n");
        return;
    };
    let _file = SilentMount::over(&file).unwrap();
    let process = Process::start(&bench);
    wait_for("one is sent", async || bench.counts_so_far().await.of(State::Uploaded) == 1).await;
    let notices = async || bench.report().await.notices().await.unwrap();
    wait_for("it is told", async || !notices().await.is_empty()).await;
    let notice = notices().await.remove(0);
    let said = format!(
        "the folder {} cannot be read, and its files wait (it is on a file system that a program of the user with the number {SOMEBODY} serves",
        mounted.display()
    );
    assert!(notice.name == NoticeName::Unreadable && notice.message.contains(&said), "{notice:?}");
    // while it works, too, and over a type's folder
    let kinds = SilentMount::over(&kind).unwrap();
    bench.drop_file(OWN, "b.jpg", &jpg(2));
    wait_for("the next is sent", async || bench.counts_so_far().await.of(State::Uploaded) == 2).await;
    let said = format!("folder={}", kind.display());
    let log = || fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap();
    wait_for("the type's folder is told", async || log().contains(&said)).await;
    assert_eq!(bench.row("x.jpg").await.error_kind, Some(ErrorKind::NotAFile));
    assert_eq!(hanging_threads(&process), 0);
    drop(kinds);
    wait_for("it is back", async || log().matches(&said).count() == 2).await;
    process.kill();
}

/// The archive and the folders through which files are moved are in folders that others may write.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_mounted_on_the_staging_folder_is_not_asked() {
    let extra = "[upload]\nafter = \"delete\"\n[watch]\npoll_interval = \"100ms\"\n";
    let bench = Bench::with(extra).await;
    let staging = bench.brand(OWN).join(".brandpost");
    fs::create_dir(&staging).unwrap();
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    let Some(_staging) = SilentMount::over(&staging) else {
        eprintln!("\n***** SKIPPED, because it needs root and /dev/fuse: mounted *****\n");
        return;
    };
    let process = Process::start(&bench);
    wait_for("it is sent", async || bench.counts_so_far().await.of(State::Uploaded) == 1).await;
    let log = || fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap();
    wait_for("it is told", async || log().contains("cannot be tidied away")).await;
    assert_eq!(hanging_threads(&process), 0);
    assert!(bench.brand(OWN).join("a.jpg").exists());
    tokio::time::timeout(Duration::from_secs(1), async { process.kill() }).await.unwrap();
}
