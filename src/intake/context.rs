//! What all scans of folders share.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pictures::Budget;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::devices::RemoteDevices;
use super::inspect::{self, Inspector, Subject};
use super::mounts::Mounts;
use super::read_ahead::ReadAhead;
use super::reads::{Answer, Begun, Reading, Reads, ToRead};
use super::scan::Entry;
use super::watch::{self, Watch};
use crate::config::Settings;
use crate::domain::notice::NoticeName;
use crate::files::{self, Kind};
use crate::fs_timeout::FsTimeouts;
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::telemetry::repeat::RepeatLimiter;

/// Memory for pictures beyond buffers, bytes: the memory of a progressive JPEG's walk (12.5 MB for a hundred megapixels and
/// each full-size colour), and thumbnails.
const PICTURE_MEMORY: u64 = 96 << 20;

/// So many files of a folder are read side by side, however many processors there are: each takes up to a megabyte.
const MOST_READERS: usize = 8;

/// What all scans of folders share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) settings: Arc<Settings>,
    pub(super) ledger: Ledger,
    pub(super) mounts: Mounts,
    pub(super) read_ahead: ReadAhead,
    inspector: Arc<Inspector>,
    /// Memory for pictures, shared with others who work on them.
    pub(super) budget: Budget,
    pub(super) fs_timeouts: FsTimeouts,
    pub(super) devices: RemoteDevices,
    pub(super) watch: Arc<Watch>,
    reads: Arc<Reads>,
    /// Why files cannot be tidied away, and why some cannot be read.
    pub(super) untidied: RepeatLimiter<String>,
    pub(super) unreadable: RepeatLimiter<String>,
    /// Files are read slowly.
    pub(super) slow: RepeatLimiter<()>,
    /// No new batch of files is begun after it.
    pub(super) stop: CancellationToken,
    pub(super) metrics: Metrics,
}

impl Context {
    pub(super) fn new(
        settings: Arc<Settings>,
        ledger: Ledger,
        stop: CancellationToken,
        metrics: &Metrics,
    ) -> Self {
        let budget = Budget::new(PICTURE_MEMORY);
        let devices = RemoteDevices::default();
        let (watch, error) = Watch::new(settings.watch.mode, devices.clone());
        if let Some(error) = error {
            tracing::warn!("{}; folders are polled", watch::no_inotify(&error));
        }
        let watch = Arc::new(watch);
        let fs_timeouts = FsTimeouts::default();
        let cores = std::thread::available_parallelism().map_or(2, usize::from).min(MOST_READERS);
        Self {
            inspector: Arc::new(Inspector::new(settings.images.clone(), budget.clone())),
            budget,
            mounts: Mounts::new(ledger.clone()),
            read_ahead: ReadAhead::new(ledger.clone()),
            settings,
            ledger,
            fs_timeouts,
            devices,
            watch,
            reads: Arc::new(Reads::new(cores)),
            untidied: RepeatLimiter::default(),
            unreadable: RepeatLimiter::default(),
            slow: RepeatLimiter::default(),
            stop,
            metrics: metrics.clone(),
        }
    }

    /// A notice no longer holds; it may be from before the start.
    pub(super) async fn clear_notice(&self, name: NoticeName) -> Result<(), LedgerError> {
        // a start does not wait for a disk that is full
        let notices = self.ledger.report().notices().await?;
        if notices.iter().any(|notice| notice.name == name) {
            self.ledger.clear_notice(name).await?;
        }
        Ok(())
    }

    /// How many files on a device are inspected together. Where inotify sees no changes, an answer may never come: there
    /// no file waits for another.
    pub(super) fn inspected_together(&self, device: u64) -> usize {
        if self.devices.remote(device).is_some() { 1 } else { inspect::TOGETHER }
    }

    /// Inspects some files of a folder on a blocking thread, when one is free.
    pub(super) fn inspect(
        &self,
        path: &Path,
        folder: Arc<OwnedFd>,
        device: u64,
        entries: &[&Entry],
    ) -> JoinHandle<Vec<Reading>> {
        let (inspector, reads, metrics) = (self.inspector.clone(), self.reads.clone(), self.metrics.clone());
        let to_read = |entry: &&Entry| ToRead { path: path.join(&entry.name), meta: entry.meta };
        let files: Vec<_> = entries.iter().map(to_read).collect();
        let entries: Vec<_> = entries.iter().copied().cloned().collect();
        let owner = number_of(path);
        tokio::spawn(async move {
            let inspect = move |begun: &[Begun]| {
                let (results, took) = timed(|| inspect_entries(&inspector, owner, &folder, &entries, begun));
                metrics.inspected(took, u32::try_from(begun.len()).unwrap_or(u32::MAX));
                results
            };
            reads.read(&files, device, inspect).await
        })
    }
}

/// A number that stands for a folder.
fn number_of(folder: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    hasher.finish()
}

/// Opens and inspects entries; links and special files are reported without opening them.
fn inspect_entries(
    inspector: &Inspector,
    owner: u64,
    folder: &OwnedFd,
    entries: &[Entry],
    begun: &[Begun],
) -> Vec<Answer> {
    let open = |begun: &Begun| match &entries[begun.at] {
        Entry { meta, .. } if meta.kind != Kind::Regular => Err(io::ErrorKind::InvalidInput.into()),
        entry => files::open_regular(folder, &entry.name),
    };
    let opened: Vec<_> = begun.iter().map(open).collect();
    let subject = |(begun, file): (&Begun, _)| {
        let (name, count) = (Path::new(&entries[begun.at].name), begun.count.clone());
        Some(Subject { file: file?, name, count })
    };
    let subjects: Vec<_> =
        begun.iter().zip(opened.iter().map(|file| file.as_ref().ok())).filter_map(subject).collect();
    let mut inspected = inspector.inspect_of(owner, &subjects).into_iter();
    opened
        .into_iter()
        .zip(begun)
        .map(|(file, begun)| {
            file?;
            let inspected = inspected.next().unwrap_or(Ok(None));
            // one that went while it was read leaves no row
            files::look(folder, &entries[begun.at].name)?;
            inspected
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a clock that is stepped stands still while a thread works")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = std::time::Instant::now();
    let done = work();
    (done, began.elapsed())
}
