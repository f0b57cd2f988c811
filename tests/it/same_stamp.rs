//! Files that are changed and keep size, time and inode, as `cp -p` and copiers that set both first leave them.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use brandpost::domain::upload::State;
use sandbox::{Fault, FaultAction};

use crate::crash::wait_for;
use crate::support::pictures::jpg;
use crate::support::{Bench, OWN};

/// Polling knows nothing of a close after writing.
const MODES: [&str; 2] = ["native", "poll"];

fn watch(mode: &str) -> String {
    format!("[watch]\nmode = \"{mode}\"\npoll_interval = \"100ms\"\nsettle = \"100ms\"\ngrace = \"300ms\"\n")
}

fn damaged(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0);
    bytes
}

/// Writes over the file as `cp -p` does.
fn copy_over(path: &Path, bytes: &[u8]) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    let mut file = File::options().write(true).truncate(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_modified(time).unwrap();
}

fn make_old(path: &Path) {
    let time = SystemTime::now() - Duration::from_hours(1);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_that_is_copied_again_is_taken() {
    for mode in MODES {
        let mut bench = Bench::with(&watch(mode)).await;
        let path = bench.drop_file(OWN, "a.jpg", &damaged(jpg(1)));
        make_old(&path);
        bench.start().await;
        bench.until_state("a.jpg", State::Rejected).await;
        copy_over(&path, &jpg(1));
        bench.until_state("a.jpg", State::Uploaded).await;
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_that_is_copied_again_while_nobody_watches_is_taken() {
    let mut bench = Bench::new().await;
    let path = bench.drop_file(OWN, "a.jpg", &damaged(jpg(1)));
    make_old(&path);
    bench.once().await;
    assert_eq!(bench.row("a.jpg").await.state, State::Rejected);
    copy_over(&path, &jpg(1));
    bench.once().await;
    assert_eq!(bench.row("a.jpg").await.state, State::Uploaded);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_picture_that_another_is_copied_over_is_sent_again() {
    let mut bench = Bench::new().await;
    let (first, mut second) = (jpg(1), jpg(2));
    // what stands behind the end of a JPEG is passed over
    second.resize(first.len().max(second.len()), 0);
    let mut padded = first.clone();
    padded.resize(second.len(), 0);
    let path = bench.drop_file(OWN, "a.jpg", &padded);
    bench.start().await;
    bench.until_state("a.jpg", State::Uploaded).await;
    copy_over(&path, &second);
    bench.until("revision 2", |rows| rows[0].revision == 2 && rows[0].state == State::Uploaded).await;
    bench.stop().await;
    assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), second);
}

/// Size and time stand before the first byte, and writing does not change them (Samba keeps a time that was set).
#[tokio::test(flavor = "multi_thread")]
async fn a_copier_that_stalls_for_longer_than_the_grace_is_not_refused_for_good() {
    for mode in MODES {
        let mut bench = Bench::with(&watch(mode)).await;
        bench.start().await;
        bench.quiet().await;
        let (whole, path) = (jpg(1), bench.brand(OWN).join("a.jpg"));
        let old = SystemTime::now() - Duration::from_hours(1);
        let mut file = File::create(&path).unwrap();
        file.set_len(whole.len() as u64).unwrap();
        file.write_all(&whole[..200]).unwrap();
        file.set_modified(old).unwrap();
        bench.until_state("a.jpg", State::Rejected).await;
        file.write_all(&whole[200..]).unwrap();
        file.set_modified(old).unwrap();
        bench.until_state("a.jpg", State::Uploaded).await;
        bench.stop().await;
        drop(file);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_whose_time_is_old_but_that_came_just_now_is_given_its_grace() {
    let mut bench = Bench::with("[watch]\nsettle = \"100ms\"\ngrace = \"60s\"\n").await;
    bench.start().await;
    bench.quiet().await;
    let (whole, path) = (jpg(1), bench.brand(OWN).join("a.jpg"));
    fs::write(&path, &whole[..200]).unwrap();
    make_old(&path);
    bench.seen(OWN).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.seen(OWN).await;
    assert!(!bench.rows().await.iter().any(|row| row.file_name == "a.jpg"), "it is still being copied");
    bench.stop().await;
}

/// Their owners can write into a mapped file without touching its times: what is sent is never what was checked.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_change_while_they_are_sent_stop_no_others() {
    // no event tells of what is written, as none would of a mapped page
    let config = "[retry]\nfirst_delay = \"300ms\"\n[watch]\nmode = \"poll\"\npoll_interval = \"10m\"\n";
    let mut bench = Bench::with(config).await;
    bench.sandbox.fault(Fault::gateway(FaultAction::Delay { ms: 500 }));
    let mut paths = Vec::new();
    for number in 0..20 {
        let brand = format!("OWNBRAND/{}", 1 + number % 2);
        let bytes = [jpg(number), b"what stands behind the end".to_vec()].concat();
        let path = bench.drop_file(&brand, format!("{number}.jpg"), &bytes);
        make_old(&path);
        paths.push(path);
    }
    bench.start().await;
    bench.until("all are recorded", |rows| rows.len() == 20).await;
    let stop = Arc::new(AtomicBool::new(false));
    let change = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let files: Vec<_> =
                paths.iter().map(|path| File::options().write(true).open(path).unwrap()).collect();
            for byte in (0..=u8::MAX).cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                for file in &files {
                    let metadata = file.metadata().unwrap();
                    file.write_at(&[byte], metadata.len() - 1).unwrap();
                    file.set_modified(metadata.modified().unwrap()).unwrap();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let refused = || bench.puts().iter().filter(|put| put.status == Some(400)).count();
    wait_for("twenty were refused", async || refused() >= 20).await;
    let notices = bench.report().await.notices().await.unwrap();
    assert!(notices.is_empty(), "{notices:#?}");
    stop.store(true, Ordering::Relaxed);
    change.join().unwrap();
    bench.sandbox.clear_faults();
    bench.quiet().await;
    assert!(bench.rows().await.iter().all(|row| row.state == State::Uploaded));
    bench.stop().await;
}
