//! Two hosts that write at the same moment: each write against each other write on one brand, a keeper that was deposed,
//! and a server whose answers are lost.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use brandpost::domain::brand::UploadId;
use brandpost::domain::clock::SystemClock;
use brandpost::domain::image::{Dimensions, Format};
use brandpost::domain::notice::NoticeName;
use brandpost::domain::upload::{Digests, Picture, Stamp, State};
use brandpost::ledger::{
    AttemptEnd, BrandRow, ClaimOrder, ClaimTerms, CommitHook, Committer, DaemonLock, Filter, Host,
    InspectedFile, Inspection, Ledger, LedgerError, RetrySelection, Started, StatusRow,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::support::pictures::jpg;
use crate::support::postgres::{Cluster, cluster, location, name_of};
use crate::support::process::Process;
use crate::support::{Bench, OWN, in_inbox};

const TERMS: ClaimTerms = ClaimTerms { lease: Duration::from_mins(1), horizon: Duration::from_hours(1) };

/// The ledger of a host that keeps an inbox of its own.
struct Keeper {
    ledger: Ledger,
    inbox: &'static str,
    _folder: TempDir,
}

impl Keeper {
    async fn start(url: &str, inbox: &'static str, hook: Option<Arc<dyn CommitHook>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lock = DaemonLock::take(&folder.path().join("x.db")).await.unwrap();
        let host = Host::new(inbox.into(), lock.identity().unwrap(), 10);
        let place = location(url, inbox);
        let Started { ledger, .. } =
            Ledger::start(&place, Arc::new(SystemClock), &lock, &host).await.unwrap();
        let ledger = match hook {
            Some(hook) => ledger.with_commit_hook(hook),
            None => ledger,
        };
        Self { ledger, inbox, _folder: folder }
    }

    fn found(&self, file: u8, content: u8) -> InspectedFile {
        let digests = Digests { sha256: format!("{content:064}"), md5: "x".into(), crc64: 1 };
        let picture =
            Picture { format: Format::Jpeg, dimensions: Dimensions { width: 1, height: 1 }, digests };
        InspectedFile {
            path: format!("/{}/{file}.jpg", self.inbox).into(),
            stamp: Stamp { size: 1, mtime_ns: 1, inode: file.into() },
            ctime_ns: 1,
            inspection: Inspection::Picture(picture, None),
        }
    }

    async fn record(&self, brand: BrandRow, files: &[(u8, u8)]) -> Result<Vec<UploadId>, LedgerError> {
        let files = files.iter().map(|(file, content)| self.found(*file, *content)).collect();
        let results = self.ledger.record(brand, files, Vec::new(), Vec::new()).await?;
        Ok(results.into_iter().map(|result| result.id).collect())
    }

    async fn send_one(&self) -> Result<(), LedgerError> {
        let next = self.ledger.candidates(&ClaimOrder::InTurn, TERMS.horizon, 1).await?;
        for claim in self.ledger.claim(next, TERMS).await? {
            let end = AttemptEnd::Uploaded {
                object_url: format!("https://bucket/{}/{}", claim.brand, claim.slot),
                etag: "x".into(),
                request_id: None,
                bytes: 1,
                recheck: false,
            };
            self.ledger.finish(&claim, &end, Duration::ZERO).await?;
        }
        Ok(())
    }
}

/// Holds each transaction for a moment before it is committed, so that the other host's meets it.
#[derive(Debug)]
struct Held;

impl CommitHook for Held {
    fn begin(&self, _: Committer) -> Pin<Box<dyn Future<Output = Result<(), LedgerError>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }

    fn commit(&self) -> Result<(), LedgerError> {
        std::thread::sleep(Duration::from_millis(10));
        Ok(())
    }

    fn committed(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}

const WRITES: [&str; 9] =
    ["record", "record the same", "send", "vanish", "retry", "release", "reserve", "rename", "recheck"];

/// What is refused was decided by the rules; anything else is a failure.
async fn write(what: &str, host: &Keeper, brand: BrandRow, own: &[UploadId]) {
    let ledger = &host.ledger;
    let number = if host.inbox == "hz-1" { 20 } else { 40 };
    let done = match what {
        "record" => host.record(brand, &[(7, number), (8, number + 1), (9, number + 2)]).await.map(drop),
        "record the same" => host.record(brand, &[(7, 99), (8, 98)]).await.map(drop),
        "send" => host.send_one().await,
        "vanish" => ledger.vanished(brand, own.to_vec()).await.map(drop),
        "retry" => ledger.retry(&RetrySelection::Ids(own.to_vec())).await.map(drop),
        "release" => ledger.release(brand, &[1]).await,
        "reserve" => ledger.reserve(brand, &[9, 10]).await.map(drop),
        "rename" => ledger.renamed(brand, own[0], Path::new("/renamed.jpg"), 2).await.map(drop),
        _ => ledger.recheck_requested(brand, own[0]).await,
    };
    assert!(matches!(done, Ok(()) | Err(LedgerError::Refused(_))), "{what} on {}: {done:?}", host.inbox);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_write_can_meet_each_other_on_one_brand() {
    let test = "concurrent_hosts::each_write_can_meet_each_other_on_one_brand";
    let Some(cluster) = cluster(test) else { return };
    let url = cluster.database();
    let first = Keeper::start(&url, "hz-1", Some(Arc::new(Held))).await;
    let second = Keeper::start(&url, "hz-2", Some(Arc::new(Held))).await;
    let mut number = 0;
    for one in WRITES {
        for other in WRITES {
            number += 1;
            let key = format!("OWNBRAND/{number}").parse().unwrap();
            let brand = first.ledger.register(&[(key, 10)]).await.unwrap()[0];
            let mine = first.record(brand, &[(1, 1), (2, 2), (3, 3)]).await.unwrap();
            let theirs = second.record(brand, &[(1, 11), (2, 12), (3, 13), (4, 1)]).await.unwrap();
            first.send_one().await.unwrap();
            tokio::join!(write(one, &first, brand, &mine), write(other, &second, brand, &theirs));
            // the rules look through the whole brand, and each host knows of what the other one did
            for host in [&first, &second] {
                let sound = host.ledger.recheck_done(brand, Vec::new()).await;
                assert!(sound.is_ok(), "{one} beside {other}: {sound:?}");
            }
            let rows = rows(&first).await;
            let uploaded = rows.iter().filter(|row| row.state == State::Uploading).count();
            assert_eq!(uploaded, 0, "{one} beside {other}: {rows:#?}");
        }
    }
    assert_eq!(number, 81);
    first.ledger.close().await;
    second.ledger.close().await;
}

async fn rows(host: &Keeper) -> Vec<StatusRow> {
    host.ledger.report().uploads(&Filter { limit: Some(20), ..Filter::default() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_was_deposed_writes_nothing_any_more() {
    let test = "concurrent_hosts::a_keeper_that_was_deposed_writes_nothing_any_more";
    let Some(cluster) = cluster(test) else { return };
    let url = cluster.database();
    let old = Keeper::start(&url, "share", None).await;
    let brand = old.ledger.register(&[(OWN.parse().unwrap(), 10)]).await.unwrap()[0];
    let ids = old.record(brand, &[(1, 1), (2, 2)]).await.unwrap();
    let next = old.ledger.candidates(&ClaimOrder::InTurn, TERMS.horizon, 1).await.unwrap();
    let claim = old.ledger.claim(next, TERMS).await.unwrap().remove(0);
    cluster.run(name_of(&url), "UPDATE inbox SET lease_until = brandpost_time('-1 second')");
    let new = Keeper::start(&url, "share", None).await;
    assert_eq!(
        new.ledger.report().counts(None).await.unwrap().of(State::Queued),
        2,
        "its claim is taken back"
    );
    let before = rows(&new).await;
    let end = AttemptEnd::Failed { failure: failure(), sent: true };
    let refused = [
        old.record(brand, &[(3, 3)]).await.map(drop),
        old.ledger.vanished(brand, ids).await.map(drop),
        old.ledger.finish(&claim, &end, Duration::ZERO).await,
        old.ledger.extend_leases(vec![(claim.token, claim.brand_id)], TERMS.lease).await,
        old.ledger.make_all_due().await,
        old.ledger.reclaim(true).await.map(drop),
        old.ledger.set_notice(NoticeName::Root, "it is not there").await,
        old.ledger.set_reading(brand, Path::new("/share"), &[("1.jpg".into(), 1, 2)]).await,
        old.ledger.set_mount_point(Path::new("/share"), true).await,
    ];
    for (number, result) in refused.into_iter().enumerate() {
        // with nothing claimed by now, there is nothing to take back
        let nothing_to_do = number == 5 && result.is_ok();
        assert!(nothing_to_do || result.as_ref().is_err_and(LedgerError::is_deposed), "{number}: {result:?}");
    }
    assert_eq!(rows(&new).await, before);
    assert!(new.ledger.report().notices().await.unwrap().is_empty());
    // an operator's command is no keeper, and works
    let command = Ledger::open(location(&url, "an operator's"), Arc::new(SystemClock)).await.unwrap();
    command.reserve(brand, &[10]).await.unwrap();
    command.close().await;
    new.ledger.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_host_has_claimed_no_other_takes_back() {
    let test = "concurrent_hosts::what_one_host_has_claimed_no_other_takes_back";
    let Some(cluster) = cluster(test) else { return };
    let url = cluster.database();
    let first = Keeper::start(&url, "hz-1", None).await;
    let brand = first.ledger.register(&[(OWN.parse().unwrap(), 10)]).await.unwrap()[0];
    first.record(brand, &[(1, 1)]).await.unwrap();
    let next = first.ledger.candidates(&ClaimOrder::InTurn, TERMS.horizon, 1).await.unwrap();
    let claim = first.ledger.claim(next, TERMS).await.unwrap().remove(0);
    // another host starts, and looks for what its last daemon has left
    let second = Keeper::start(&url, "hz-2", None).await;
    assert_eq!(second.ledger.reclaim(true).await.unwrap(), 0);
    let end = AttemptEnd::Failed { failure: failure(), sent: true };
    first.ledger.finish(&claim, &end, Duration::ZERO).await.unwrap();
    assert_eq!(rows(&first).await[0].state, State::Failed);
    first.ledger.close().await;
    second.ledger.close().await;
}

fn failure() -> brandpost::domain::failure::Failure {
    brandpost::domain::failure::Failure::new(
        brandpost::domain::failure::ErrorKind::OssRejected,
        "as it seemed to the old keeper",
    )
}

/// Between a daemon and its server: passes everything on, but of every ninth commit only the request.
/// Counts them, as soon as it is told to begin.
fn losing_answers(cluster: &Cluster, folder: &Path, begun: Arc<AtomicBool>) -> Arc<AtomicU32> {
    let name = format!(".s.PGSQL.{}", cluster.port);
    let listener = UnixListener::bind(folder.join(&name)).unwrap();
    let (server, lost) = (cluster.folder.join(name), Arc::new(AtomicU32::new(0)));
    let (counted, commits) = (lost.clone(), Arc::new(AtomicU32::new(0)));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, lost, commits) = (server.clone(), counted.clone(), commits.clone());
            let begun = begun.clone();
            tokio::spawn(async move {
                let server = UnixStream::connect(server).await.unwrap();
                pass_on(client, server, &lost, &commits, &begun).await;
            });
        }
    });
    lost
}

async fn pass_on(
    mut client: UnixStream,
    mut server: UnixStream,
    lost: &AtomicU32,
    commits: &AtomicU32,
    begun: &AtomicBool,
) {
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                if server.write_all(&asked[..count]).await.is_err() {
                    return;
                }
                let is_commit = begun.load(Ordering::Relaxed)
                    && asked[..count].windows(6).any(|part| part == b"COMMIT");
                if is_commit && commits.fetch_add(1, Ordering::Relaxed) % 9 == 8 {
                    // it is committed, and nobody hears of it
                    let _ = server.read(&mut answered).await;
                    lost.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&answered[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_whose_answers_are_lost_double_nothing_and_lose_nothing() {
    let test = "concurrent_hosts::commits_whose_answers_are_lost_double_nothing_and_lose_nothing";
    let Some(cluster) = cluster(test) else { return };
    let mut bench = Bench::new().await;
    let begun = Arc::new(AtomicBool::new(false));
    let lost = losing_answers(cluster, bench.folder.path(), begun.clone());
    let url = cluster.database();
    let direct = url.clone();
    let through = format!("host={}&", bench.folder.path().display());
    bench.server = Some(url.replace(&format!("host={}&", cluster.folder.display()), &through));
    bench.configure(&in_inbox("hz-1"));
    let daemon = Process::start(&bench);
    bench.server = Some(direct);
    let uploaded = async |count: u64| {
        let all = async {
            while bench.counts_so_far().await.of(State::Uploaded) < count {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_mins(1), all).await;
        let log = || std::fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap();
        assert!(waited.is_ok(), "{count} are uploaded; {:#?}\n{}", bench.counts().await, log());
    };
    bench.drop_file(OWN, "first.jpg", &jpg(255));
    uploaded(1).await;
    begun.store(true, Ordering::Relaxed);
    let wanted = std::env::var("BRANDPOST_LOST").map_or(10, |count| count.parse().unwrap());
    let mut brands = 0;
    while brands < 12 || lost.load(Ordering::Relaxed) < wanted {
        for brand in brands..brands + 12 {
            for file in 0..10 {
                bench.drop_file(&format!("OWNBRAND/{}", 1 + brand), format!("{file}.jpg"), &jpg(file));
            }
        }
        brands += 12;
        uploaded(1 + brands * 10).await;
    }
    let all = usize::try_from(1 + brands * 10).unwrap();
    let rows = bench.rows().await;
    assert_eq!((rows.len(), bench.sandbox.objects().len(), bench.puts().len()), (all, all, all));
    println!("{lost:?} answers to commits of {all} files were lost");
    daemon.kill();
}
