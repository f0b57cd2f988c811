//! More events than the kernel's queue holds.

use std::fs;

use brandpost::domain::upload::State;

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
    let process = Process::start(&bench);
    wait_for("the first file", async || bench.counts_so_far().await.of(State::Uploaded) == 1).await;
    process.signal("STOP");
    let (folder, count) = (bench.brand(OWN), enough());
    for number in 0..count {
        fs::write(folder.join(format!("{number}.txt")), format!("{number}")).unwrap();
    }
    process.signal("CONT");
    wait_for("all files in the table", async || bench.counts().await.total() == 1 + count as u64).await;
    let log = fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap();
    assert_eq!(log.matches("more events than the queue holds").count(), 1);
    process.kill();
}
