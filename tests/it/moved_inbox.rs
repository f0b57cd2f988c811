//! An inbox that was copied to another place, and `watch.root` with it.

use std::fs;
use std::process::Command;

use crate::support::pictures::jpg;
use crate::support::{Bench, OTHER, OWN};

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_copied_inbox_keep_their_rows_and_slots() {
    let mut bench = Bench::with("[images]\nmax_per_brand = 3\n").await;
    for seed in 1..=4 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
    }
    bench.drop_file(OWN, "note.txt", b"text");
    bench.drop_file(OTHER, "a.jpg", &jpg(9));
    bench.once().await;
    let ledger = bench.ledger_of_its_own().await;
    let brand = bench.report().await.brand(OTHER.parse().unwrap()).await.unwrap().unwrap().0;
    ledger.release(brand, &[1]).await.unwrap();
    ledger.close().await;
    let before = bench.rows().await;

    let (old, new) = (bench.folder.path().join("inbox"), bench.folder.path().join("disk2"));
    assert!(Command::new("cp").arg("-a").args([&old, &new]).status().unwrap().success());
    bench.configure("[images]\nmax_per_brand = 3\n[watch]\nroot = \"disk2\"\nsettle = \"100ms\"\n");
    bench.once().await;
    let after = bench.rows().await;
    let places = |rows: &[brandpost::ledger::StatusRow]| {
        rows.iter().map(|row| (row.id, row.file_name.clone(), row.state, row.slot)).collect::<Vec<_>>()
    };
    assert_eq!(places(&after), places(&before));
    assert!(after.iter().all(|row| row.path.contains("/disk2/")), "{after:#?}");
    assert_eq!(bench.puts().len(), 4, "nothing is sent again");

    // the one that waits comes to its turn, from where it is now
    fs::remove_dir_all(&old).unwrap();
    let ledger = bench.ledger_of_its_own().await;
    let brand = bench.report().await.brand(OWN.parse().unwrap()).await.unwrap().unwrap().0;
    ledger.release(brand, &[2]).await.unwrap();
    ledger.close().await;
    bench.once().await;
    let row = bench.row("4.jpg").await;
    assert_eq!((row.state.as_str(), row.slot), ("uploaded", Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_under_another_name_takes_the_row_over_too() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    let new = bench.folder.path().join("disk2").join(OWN);
    fs::create_dir_all(&new).unwrap();
    fs::write(new.join("renamed.jpg"), jpg(1)).unwrap();
    bench.configure("[watch]\nroot = \"disk2\"\nsettle = \"100ms\"\n");
    bench.once().await;
    let rows = bench.rows().await;
    assert_eq!((rows.len(), rows[0].file_name.as_str(), rows[0].slot), (1, "renamed.jpg", Some(1)));
    assert_eq!(bench.puts().len(), 1);
}
