//! Thousands of brands wait, and something new comes.

use std::time::Duration;

use brandpost::domain::upload::State;
use brandpost::ledger::Filter;
use tokio::time::Instant;

use crate::support::pictures::jpg;
use crate::support::{Bench, OTHER};

const BRANDS: u32 = 1500;

/// A picture of its own for each brand: what stands behind the end of a JPEG is passed over.
fn picture(brand: u32) -> Vec<u8> {
    [jpg(1), brand.to_le_bytes().to_vec()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_file_of_a_new_brand_waits_for_no_other() {
    let mut bench = Bench::with("[limits]\nuploads_per_second = 5\nburst = 1\n").await;
    for brand in 1..=BRANDS {
        bench.drop_file(&format!("OWNBRAND/{brand}"), "a.jpg", &picture(brand));
    }
    bench.start().await;
    // while the folders are looked at for the first time, and when all of them wait
    for (name, seed) in [("during.jpg", 2), ("after.jpg", 3)] {
        let began = Instant::now();
        bench.drop_file(&format!("OTHERBRAND/{seed}"), name, &jpg(seed));
        let filter = Filter { states: vec![State::Uploaded], ..Filter::default() };
        loop {
            let sent = bench.report().await.uploads(&filter).await.unwrap();
            if sent.iter().any(|row| row.file_name == name) {
                assert!(sent.len() < BRANDS as usize / 4, "{name} waited for {} others", sent.len());
                break;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "{name} is sent within seconds");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("{name}: {:?}", began.elapsed());
        let mut intake = bench.intake();
        intake.wait_for(|progress| progress.scanned).await.unwrap();
    }
    // one brand's many files are not all new: those that wait have their turns too
    for number in 1..=8 {
        bench.drop_file(OTHER, format!("{number}.jpg"), &jpg(10 + number));
    }
    let before = bench.counts().await.of(State::Uploaded);
    let sent = async |brand: &str| {
        let filter = Filter {
            states: vec![State::Uploaded],
            brand: Some(brand.parse().unwrap()),
            ..Filter::default()
        };
        bench.report().await.uploads(&filter).await.unwrap().len() as u64
    };
    while bench.counts().await.of(State::Uploaded) < before + 12 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(sent(OTHER).await <= 2, "the others have their turns");
    bench.stop_now().await;
}
