//! More than there is room for: events in the kernel's queue, files that may be open.

use std::fs;

use brandpost::domain::upload::State;
use sandbox::{Fault, FaultAction};

use crate::crash::wait_for;
use crate::support::pictures::jpg;
use crate::support::process::Process;
use crate::support::{Bench, OWN};

/// Each file raises three events or more.
fn enough() -> usize {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    limit.trim().parse::<usize>().unwrap() / 3 + 500
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_overflows_loses_no_file_and_is_said_once() {
    let bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    // the queue is one for all folders, and a table of a few hundred rows for each is written faster than one of thousands
    let folders: Vec<_> = (1..=20).map(|number| bench.brand(&format!("OWNBRAND/{number}"))).collect();
    let process = Process::start(&bench);
    wait_for("the first file", async || bench.counts_so_far().await.of(State::Uploaded) == 1).await;
    process.signal("STOP");
    let count = enough();
    for number in 0..count {
        let folder = &folders[number % folders.len()];
        fs::write(folder.join(format!("{number}.txt")), format!("{number}")).unwrap();
    }
    process.signal("CONT");
    wait_for("all files in the table", async || bench.counts().await.total() == 1 + count as u64).await;
    let log = fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap();
    assert_eq!(log.matches("more events than the queue holds").count(), 1);
    process.kill();
}

/// 64 uploads at a time to a slow cloud, by a process that may have 128 files open.
#[tokio::test(flavor = "multi_thread")]
async fn few_descriptors_are_shared() {
    let bench =
        Bench::with("[limits]\nuploads_per_second = 0\ngateway_per_second = 0\nconcurrency = 64\n").await;
    for seed in 0..200 {
        bench.drop_file(&format!("OWNBRAND/{}", 1 + seed / 5), format!("{seed}.jpg"), &jpg(seed));
    }
    bench.sandbox.fault(Fault::oss(FaultAction::Delay { ms: 150 }));
    let mut command = tokio::process::Command::new("sh");
    command.args([
        "-c",
        "ulimit -n 128; exec \"$0\" --config \"$1\" run --once",
        env!("CARGO_BIN_EXE_brandpost"),
    ]);
    let output = command.arg(bench.config()).output().await.unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{log}");
    assert!(!log.contains("Too many open files"), "{log}");
    assert!(log.contains("LimitNOFILE"), "{log}");
    assert_eq!(bench.counts().await.of(State::Uploaded), 200);
}
