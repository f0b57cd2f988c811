//! A damaged database: put aside, made anew, and no storm of uploads.

use std::fs;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brandpost::config::Settings;
use brandpost::domain::upload::State;
use brandpost::intake::{Intake, IntakeError, IntakeProgress};
use brandpost::ledger::{CommitHook, Committer, Ledger, LedgerError, RetrySelection, StatusRow};
use brandpost::metrics::Metrics;

use sqlx::Connection;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::pictures::{gif, jpg, png};
use crate::support::{Bench, OWN};

/// Overwrites everything behind the first page, where the tables are. Its time stays that of the last commit.
fn ruin(bench: &Bench) {
    let file = fs::File::options().write(true).open(bench.database()).unwrap();
    let before = file.metadata().unwrap();
    for at in (4096..before.len()).step_by(512) {
        file.write_all_at(&[0xa5; 512], at).unwrap();
    }
    file.set_modified(before.modified().unwrap()).unwrap();
}

fn aside(bench: &Bench) -> Vec<String> {
    let names = fs::read_dir(bench.folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".damaged-") && name.ends_with('Z')).collect()
}

async fn ruined() -> Bench {
    let bench = worked().await;
    ruin(&bench);
    Ledger::request_integrity_check(&bench.database());
    bench
}

/// Two files were sent, and the daemon has ended.
async fn worked() -> Bench {
    let mut bench = Bench::new().await;
    for (name, bytes) in [("a.jpg", jpg(1)), ("b.png", png(2))] {
        let path = bench.drop_file(OWN, name, &bytes);
        let before = fs::metadata(&path).unwrap().modified().unwrap() - Duration::from_mins(5);
        fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    }
    bench.once().await;
    assert_eq!(bench.puts().len(), 2);
    bench
}

async fn both_are_held(bench: &mut Bench) {
    bench.start().await;
    bench.until("both are known again", |rows| rows.len() == 2).await;
    bench.drop_file(OWN, "new.gif", &gif(9));
    bench.until_state("new.gif", State::Uploaded).await;
    assert_eq!(
        (bench.row("a.jpg").await.state, bench.row("b.png").await.state),
        (State::Queued, State::Queued)
    );
    assert_eq!(bench.puts().len(), 3, "no storm");
    let notices = bench.report().await.notices().await.unwrap();
    assert!(notices[0].message.contains("was missing"), "{notices:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_missing_is_not_taken_for_a_new_one() {
    let mut bench = worked().await;
    fs::remove_file(bench.database()).unwrap();
    both_are_held(&mut bench).await;
    assert_eq!(bench.ledger_of_its_own().await.retry(&RetrySelection::Held).await.unwrap(), 2);
    bench.once().await;
    assert_eq!(bench.puts().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_a_missing_one() {
    let mut bench = worked().await;
    fs::write(bench.database(), "").unwrap();
    both_are_held(&mut bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_deleted_at_work_is_written_back() {
    for deleted in [&["", "-wal", "-shm"][..], &[""]] {
        let mut bench = worked().await;
        bench.start().await;
        bench.quiet().await;
        // the WAL is not empty: it would be taken for a part of what is written back
        bench.drop_file(OWN, "c.jpg", &jpg(3));
        bench.until_state("c.jpg", State::Uploaded).await;
        for end in deleted {
            let _ = fs::remove_file(format!("{}{end}", bench.database().display()));
        }
        let error = bench.ended().await.unwrap_err();
        assert!(
            format!("{error:#}").contains("was deleted, and written back, while brandpost worked with it"),
            "{error:#}"
        );
        bench.once().await;
        assert_eq!(bench.puts().len(), 3, "all that was known is known again");
        assert!(bench.report().await.notices().await.unwrap().is_empty());
        assert_eq!(aside(&bench), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_put_in_place_at_work_is_taken_as_it_is() {
    let mut bench = worked().await;
    let backup = bench.folder.path().join("backup");
    bench.start().await;
    bench.quiet().await;
    bench.ledger().backup(&backup).await.unwrap();
    bench.drop_file(OWN, "c.jpg", &jpg(3));
    bench.until_state("c.jpg", State::Uploaded).await;
    fs::rename(&backup, bench.database()).unwrap();
    let error = bench.ended().await.unwrap_err();
    assert!(format!("{error:#}").contains("was replaced while brandpost worked with it"), "{error:#}");
    bench.once().await;
    assert_eq!(aside(&bench), Vec::<String>::new());
    assert!(bench.rows().await.iter().all(|row| row.state == State::Uploaded), "{:#?}", bench.rows().await);
    assert_eq!(bench.puts().len(), 4, "what the backup does not know is sent once more");
}

/// One byte of an index is another one: tables and their other indexes are sound.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_damaged_is_made_anew() {
    let mut bench = worked().await;
    let url = format!("sqlite://{}?mode=ro", bench.database().display());
    let mut reader = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let page: i64 = sqlx::query_scalar("SELECT rootpage FROM sqlite_schema WHERE name = 'upload_updated'")
        .fetch_one(&mut reader)
        .await
        .unwrap();
    reader.close().await.unwrap();
    let mut bytes = fs::read(bench.database()).unwrap();
    let page = (page.unsigned_abs() as usize - 1) * 4096..page.unsigned_abs() as usize * 4096;
    let year = bytes[page.clone()].windows(3).position(|some| some == b"202").expect("a time");
    bytes[page.start + year] = b'1';
    fs::write(bench.database(), bytes).unwrap();
    Ledger::request_integrity_check(&bench.database());
    bench.start().await;
    bench.quiet().await;
    assert_eq!(bench.counts().await.of(State::Uploaded), 2);
    assert_eq!((aside(&bench), bench.puts().len()), (Vec::new(), 2));
    bench.stop().await;
    let url = format!("sqlite://{}?mode=ro", bench.database().display());
    let mut reader = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut reader).await.unwrap();
    assert_eq!(verdict, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_settles_held_files_ends_their_protection() {
    let mut bench = worked().await;
    for number in 3..=11 {
        bench.drop_file(OWN, format!("{number}.jpg"), &jpg(number));
    }
    bench.once().await;
    fs::remove_file(bench.database()).unwrap();
    let (inbox, away) = (bench.folder.path().join("inbox"), bench.folder.path().join("away"));
    fs::rename(&inbox, &away).unwrap();
    bench.start().await;
    assert_eq!(bench.ledger().retry(&RetrySelection::Failed).await.unwrap(), 0);
    assert_eq!(bench.ledger().retry(&RetrySelection::Held).await.unwrap(), 0, "none is found yet");
    fs::rename(&away, &inbox).unwrap();
    bench.until("all are known again", |rows| rows.len() == 11).await;
    bench.seen(OWN).await;
    let puts = bench.puts().len();
    assert_eq!(puts, 10, "no storm");
    assert_eq!(bench.ledger().adopt(None).await.unwrap(), 10);
    // the eleventh waited for a slot: it is not held when it gets one
    let brand = bench.report().await.brand(OWN.parse().unwrap()).await.unwrap().unwrap().0;
    bench.ledger().release(brand, &[1]).await.unwrap();
    bench.until("the eleventh is sent", |rows| rows.iter().all(|row| row.state != State::Queued)).await;
    bench.quiet().await;
    assert_eq!(bench.puts().len(), puts + 1);
    assert!(bench.report().await.notices().await.unwrap().is_empty());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_after_the_last_word_of_a_damaged_database_is_sent() {
    let mut bench = ruined().await;
    bench.drop_file(OWN, "c.jpg", &jpg(3));
    bench.start().await;
    bench.until_state("c.jpg", State::Uploaded).await;
    assert_eq!(bench.row("a.jpg").await.state, State::Queued);
    assert_eq!(bench.puts().len(), 3);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_others_hold_at_the_start_is_waited_for() {
    let mut bench = worked().await;
    let url = format!("sqlite://{}", bench.database().display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    bench.drop_file(OWN, "c.jpg", &jpg(3));
    {
        let start = bench.start();
        tokio::pin!(start);
        // longer than SQLite itself waits
        let early = tokio::time::timeout(Duration::from_secs(6), &mut start).await;
        assert!(early.is_err(), "it cannot work yet, and does not give up");
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        start.await;
    }
    bench.until_state("c.jpg", State::Uploaded).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_put_aside_and_files_from_before_are_held() {
    let mut bench = ruined().await;
    bench.start().await;
    bench.until("both are known again", |rows| rows.len() == 2).await;
    assert!(bench.rows().await.iter().all(|row| row.state == State::Queued), "{:#?}", bench.rows().await);
    // what is new goes through meanwhile
    bench.drop_file(OWN, "c.jpg", &jpg(3));
    bench.until_state("c.jpg", State::Uploaded).await;
    assert_eq!(bench.puts().len(), 3, "no storm");
    assert_eq!(aside(&bench).len(), 1, "{:?}", aside(&bench));
    let notices = bench.report().await.notices().await.unwrap();
    assert!(notices[0].message.contains("brandpost adopt --all"), "{notices:?}");

    assert_eq!(bench.ledger().retry(&RetrySelection::Held).await.unwrap(), 2);
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
    assert!(bench.rows().await.iter().all(|row| row.state == State::Uploaded && row.slot.is_some()));
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
    assert_eq!(bench.row("a.jpg").await.state, State::Uploaded);
    assert_eq!((bench.puts().len(), aside(&bench).len()), (1, 0));
}

/// A disk that is full for one commit, when it is told to be.
#[derive(Debug, Default)]
struct FullOnce(AtomicBool);

impl CommitHook for FullOnce {
    fn begin(&self, _: Committer) -> Pin<Box<dyn Future<Output = Result<(), LedgerError>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }

    fn commit(&self) -> Result<(), LedgerError> {
        match self.0.swap(false, Ordering::Relaxed) {
            true => Err(sqlx::Error::PoolTimedOut.into()),
            false => Ok(()),
        }
    }

    fn committed(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// Intake, at work on a ledger whose next commit can be made to fail.
struct Working {
    full: Arc<FullOnce>,
    stop: CancellationToken,
    work: JoinHandle<Result<(), IntakeError>>,
}

impl Working {
    /// It has taken in all that was there.
    async fn start(bench: &Bench) -> Self {
        let full = Arc::new(FullOnce::default());
        let ledger = bench.ledger_of_its_own().await.with_commit_hook(full.clone());
        let (settings, stop) = (Arc::new(Settings::load(&bench.config()).unwrap()), CancellationToken::new());
        let intake = Intake::new(settings, ledger.clone(), stop.clone(), &Metrics::new(ledger.now()));
        let mut progress = intake.progress();
        let work = tokio::spawn(intake.run());
        let is_done = |intake: &IntakeProgress| intake.scanned && intake.idle && intake.incomplete == 0;
        progress.wait_for(is_done).await.unwrap();
        Self { full, stop, work }
    }

    fn fill_disk_once(&self) {
        self.full.0.store(true, Ordering::Relaxed);
    }

    /// The disk was full, and what could not be written then is written now.
    async fn recovers(self, bench: &Bench, is_written: impl Fn(&[StatusRow]) -> bool) {
        let written = tokio::time::timeout(Duration::from_secs(20), async {
            while !is_written(&bench.rows().await) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        written.await.expect("it is written soon");
        assert!(!self.full.0.load(Ordering::Relaxed));
        self.stop.cancel();
        self.work.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_written_down_is_as_soon_as_it_can_be() {
    let bench = Bench::with("[watch]\nsettle = \"100ms\"\ngrace = \"10m\"\n").await;
    bench.brand(OWN);
    let working = Working::start(&bench).await;
    working.fill_disk_once();
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    // it does not wait for its grace
    working.recovers(&bench, |rows| !rows.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_removed_folder_are_gone_also_when_that_could_not_be_written_at_first() {
    let bench = Bench::new().await;
    bench.drop_file(OWN, "a.txt", b"text");
    let working = Working::start(&bench).await;
    assert_eq!(bench.row("a.txt").await.state, State::Rejected);
    working.fill_disk_once();
    fs::remove_dir_all(bench.brand(OWN)).unwrap();
    working.recovers(&bench, |rows| rows[0].state == State::Gone).await;
}
