//! Brands have names: the label behind the record id in the name of a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use brandpost::domain::upload::State;
use brandpost::ledger::StatusRow;
use sandbox::{Fault, FaultAction};

use crate::support::pictures::{jpg, png};
use crate::support::{Bench, OWN};

const NAMED: &str = "OWNBRAND/1001-海尔";

async fn label(bench: &Bench) -> Option<String> {
    let brands = bench.report().await.brands(None, None, None).await.unwrap();
    assert_eq!(brands.len(), 1, "{brands:?}");
    brands[0].label.clone()
}

async fn until_label(bench: &Bench, wanted: Option<&str>) {
    let wait = async {
        while label(bench).await.as_deref() != wanted {
            let _ = bench.ledger().changes().changed().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.expect("the label in time");
}

/// What must stay as it was when a folder is renamed.
fn fate(row: &StatusRow) -> (i64, String, State, Option<i64>, i64) {
    (row.id.0, row.file_name.clone(), row.state, row.slot, row.attempts)
}

fn gateway_is_down() -> Fault {
    let headers = BTreeMap::new();
    Fault::gateway(FaultAction::Status { status: 503, headers, body: String::new() })
}

fn rename(bench: &Bench, from: &str, to: &str) {
    let inbox = bench.folder.path().join("inbox");
    fs::rename(inbox.join(from), inbox.join(to)).unwrap();
}

fn all_below(bench: &Bench, folder: &str, rows: &[StatusRow]) -> bool {
    let folder = bench.folder.path().join("inbox").join(folder);
    rows.iter().all(|row| Path::new(&row.path).parent() == Some(&folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_a_label_is_its_record_s_and_the_label_is_in_the_views() {
    let mut bench = Bench::new().await;
    bench.drop_file(NAMED, "front.jpg", &jpg(1));
    bench.once().await;
    assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), jpg(1));
    assert_eq!(label(&bench).await.as_deref(), Some("海尔"));
    assert_eq!(bench.row("front.jpg").await.brand_label.as_deref(), Some("海尔"));
    for (text, found) in [("海尔", 1), ("1001 海", 1), ("front", 1), ("美的", 0)] {
        let brands = bench.report().await.brands(Some(text), None, None).await.unwrap();
        assert_eq!(brands.len(), found, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn renaming_the_folder_sends_nothing_and_every_row_follows() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "1-sent.jpg", &jpg(1));
    bench.drop_file(OWN, "2-copy.jpg", &jpg(1));
    bench.drop_file(OWN, "text.png", b"no picture");
    bench.start().await;
    bench.until_state("1-sent.jpg", State::Uploaded).await;
    bench.quiet().await;
    bench.sandbox.fault(gateway_is_down());
    bench.drop_file(OWN, "waits.png", &png(2));
    bench.until_state("waits.png", State::Retrying).await;
    let before: Vec<_> =
        bench.rows().await.iter().map(fate).map(|(id, name, _, slot, _)| (id, name, slot)).collect();
    rename(&bench, OWN, NAMED);
    bench.until("all rows follow", |rows| all_below(&bench, NAMED, rows)).await;
    until_label(&bench, Some("海尔")).await;
    let after: Vec<_> =
        bench.rows().await.iter().map(fate).map(|(id, name, _, slot, _)| (id, name, slot)).collect();
    assert_eq!(after, before, "no row is new, and none is gone");
    bench.sandbox.clear_faults();
    bench.until_state("waits.png", State::Uploaded).await;
    // and back
    rename(&bench, NAMED, OWN);
    bench.until("all rows are back", |rows| all_below(&bench, OWN, rows)).await;
    until_label(&bench, None).await;
    bench.quiet().await;
    bench.stop().await;
    assert_eq!(bench.rows().await.len(), before.len());
    assert_eq!(bench.puts().len(), 2, "each picture once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_renamed_while_nobody_looks_keeps_its_rows_too() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "1-sent.jpg", &jpg(1));
    bench.drop_file(OWN, "text.png", b"no picture");
    bench.once().await;
    bench.sandbox.fault(gateway_is_down());
    bench.drop_file(OWN, "waits.png", &png(2));
    bench.start().await;
    bench.until_state("waits.png", State::Retrying).await;
    bench.stop().await;
    let before: Vec<_> =
        bench.rows().await.iter().map(fate).map(|(id, name, _, slot, _)| (id, name, slot)).collect();
    rename(&bench, OWN, NAMED);
    bench.sandbox.clear_faults();
    bench.once().await;
    let rows = bench.rows().await;
    let after: Vec<_> = rows.iter().map(fate).map(|(id, name, _, slot, _)| (id, name, slot)).collect();
    assert_eq!(after, before);
    assert!(all_below(&bench, NAMED, &rows), "{rows:#?}");
    assert_eq!(bench.puts().len(), 2, "each picture once");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_folders_with_one_id_are_both_the_brand_s() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    bench.drop_file(NAMED, "2.jpg", &jpg(2));
    bench.once().await;
    bench.drop_file(NAMED, "3.jpg", &jpg(1));
    bench.once().await;
    assert_eq!(bench.row("1.jpg").await.state, State::Uploaded);
    assert_eq!(bench.row("2.jpg").await.state, State::Uploaded);
    let brands = bench.report().await.brands(None, None, None).await.unwrap();
    assert_eq!((brands.len(), brands[0].slots_used, brands[0].rejected), (1, 2, 1), "{brands:?}");
    assert_eq!(brands[0].label.as_deref(), Some("海尔"));
    // one of them goes: what was sent from it keeps its slot, and the other's files stay as they were
    fs::remove_dir_all(bench.folder.path().join("inbox").join(OWN)).unwrap();
    bench.once().await;
    assert_eq!(bench.row("1.jpg").await.state, State::Uploaded);
    assert_eq!(bench.puts().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_label_of_the_configuration_counts_first() {
    let share = tempfile::tempdir().unwrap();
    let path = share.path().display();
    let entry =
        format!("[[brand]]\ntype = \"OWNBRAND\"\nid = 1001\nlabel = \" Haier \"\npath = \"{path}\"\n");
    let mut bench = Bench::with(&entry).await;
    bench.drop_file(NAMED, "1.jpg", &jpg(1));
    bench.once().await;
    assert_eq!(label(&bench).await.as_deref(), Some("Haier"));
    bench.configure("");
    bench.once().await;
    assert_eq!(label(&bench).await.as_deref(), Some("海尔"));
}
