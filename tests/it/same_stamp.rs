//! Files that are changed and keep size, time and inode, as `cp -p` and copiers that set both first leave them.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use brandpost::domain::upload::State;

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
