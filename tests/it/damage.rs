//! A damaged database: put aside, made anew, and no storm of uploads.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use brandpost::ledger::{Ledger, LedgerError, Which};

use crate::support::pictures::{jpg, png};
use crate::support::{Bench, OWN};

/// Overwrites everything behind the first page, where the tables are.
fn ruin(bench: &Bench) {
    let file = fs::File::options().write(true).open(bench.database()).unwrap();
    let size = file.metadata().unwrap().len();
    for at in (4096..size).step_by(512) {
        file.write_all_at(&[0xa5; 512], at).unwrap();
    }
}

fn aside(bench: &Bench) -> Vec<String> {
    let names = fs::read_dir(bench.folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".damaged-") && name.ends_with('Z')).collect()
}

async fn ruined() -> Bench {
    let mut bench = Bench::new().await;
    for (name, bytes) in [("a.jpg", jpg(1)), ("b.png", png(2))] {
        let path = bench.drop_file(OWN, name, &bytes);
        let before = fs::metadata(&path).unwrap().modified().unwrap() - Duration::from_mins(5);
        fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    }
    bench.once().await;
    assert_eq!(bench.puts().len(), 2);
    ruin(&bench);
    Ledger::suspect(&bench.database());
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_put_aside_and_files_from_before_are_held() {
    let mut bench = ruined().await;
    bench.start().await;
    bench.until("both are known again", |rows| rows.len() == 2).await;
    assert!(bench.rows().await.iter().all(|row| row.state == "queued"), "{:#?}", bench.rows().await);
    // what is new goes through meanwhile
    bench.drop_file(OWN, "c.jpg", &jpg(3));
    bench.until_state("c.jpg", brandpost::domain::upload::State::Uploaded).await;
    assert_eq!(bench.puts().len(), 3, "no storm");
    assert_eq!(aside(&bench).len(), 1, "{:?}", aside(&bench));
    let notices = bench.report().await.notices().await.unwrap();
    assert!(notices[0].message.contains("brandpost adopt --all"), "{notices:?}");

    assert_eq!(bench.ledger().retry(&Which::Held).await.unwrap(), 2);
    bench.quiet().await;
    assert_eq!(bench.puts().len(), 5);
    assert!(bench.report().await.notices().await.unwrap().is_empty());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn held_files_can_be_taken_as_sent() {
    let mut bench = ruined().await;
    bench.start().await;
    bench.until("both are known again", |rows| rows.len() == 2).await;
    assert_eq!(bench.ledger().adopt(None).await.unwrap(), 2);
    bench.quiet().await;
    assert!(bench.rows().await.iter().all(|row| row.state == "uploaded" && row.slot.is_some()));
    assert_eq!(bench.puts().len(), 2, "nothing was transferred");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_put_aside_too() {
    let mut bench = Bench::new().await;
    fs::write(bench.database(), "this is no database, and longer than a header of SQLite is".repeat(20))
        .unwrap();
    let error = Ledger::open(&bench.database(), bench.clock.clone()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Damaged(_)), "{error}");
    // a daemon has worked with it before; what only stands in its place is left alone
    fs::write(bench.folder.path().join("brandpost.db.lock"), "").unwrap();
    bench.start().await;
    bench.stop().await;
    assert_eq!(aside(&bench).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_database_is_left_alone_after_a_crash() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.quiet().await;
    bench.crash().await;
    bench.once().await;
    assert_eq!(bench.row("a.jpg").await.state, "uploaded");
    assert_eq!((bench.puts().len(), aside(&bench).len()), (1, 0));
}
