//! What all scans of folders share.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pictures::Budget;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::devices::RemoteDevices;
use super::inspect::{Inspected, Inspector};
use super::mounts::Mounts;
use super::read_ahead::ReadAhead;
use super::reads::{Reading, Reads};
use super::scan::Entry;
use crate::config::Settings;
use crate::files::{self, Kind};
use crate::fs_timeout::FsTimeouts;
use crate::ledger::Ledger;
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
        let fs_timeouts = FsTimeouts::default();
        let cores = std::thread::available_parallelism().map_or(2, usize::from).min(MOST_READERS);
        Self {
            inspector: Arc::new(Inspector::new(settings.images.clone(), budget.clone())),
            budget,
            mounts: Mounts::new(ledger.clone(), fs_timeouts.clone()),
            read_ahead: ReadAhead::new(ledger.clone()),
            settings,
            ledger,
            fs_timeouts,
            devices: RemoteDevices::default(),
            reads: Arc::new(Reads::new(cores)),
            untidied: RepeatLimiter::default(),
            unreadable: RepeatLimiter::default(),
            slow: RepeatLimiter::default(),
            stop,
            metrics: metrics.clone(),
        }
    }

    /// Inspects on a blocking thread, when one is free.
    pub(super) fn inspect(
        &self,
        path: PathBuf,
        folder: Arc<OwnedFd>,
        device: u64,
        entry: &Entry,
    ) -> JoinHandle<Reading> {
        let (inspector, reads, entry) = (self.inspector.clone(), self.reads.clone(), entry.clone());
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            let meta = entry.meta;
            let inspect = move || {
                let (result, took) = timed(|| inspect_entry(&inspector, &folder, &entry));
                metrics.inspected(took);
                result
            };
            reads.read(&path, meta, device, inspect).await
        })
    }
}

/// Opens and inspects one entry; links and special files are reported without opening them.
fn inspect_entry(inspector: &Inspector, folder: &OwnedFd, entry: &Entry) -> io::Result<Option<Inspected>> {
    if entry.meta.kind != Kind::Regular {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = files::open_regular(folder, &entry.name)?;
    let inspected = inspector.inspect(&file, Path::new(&entry.name));
    // one that went while it was read leaves no row
    files::look(folder, &entry.name)?;
    inspected
}

#[expect(clippy::disallowed_methods, reason = "a clock that is stepped stands still while a thread works")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = std::time::Instant::now();
    let done = work();
    (done, began.elapsed())
}
