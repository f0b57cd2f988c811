//! What every look at a folder shares.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::folder::look_at;
use super::inspect::{Inspected, Inspector};
use super::mounts::Mounts;
use super::scan::Entry;
use pictures::Budget;

use crate::config::Settings;
use crate::domain::chorus::Chorus;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::patience::{Patience, SILENT};

/// Memory for pictures beyond buffers, bytes: the memory of a progressive JPEG's walk (12.5 MB for a hundred megapixels and
/// each full-size colour), and thumbnails.
const PICTURE_MEMORY: u64 = 96 << 20;

/// No picture takes so long to read and check.
const LONGEST_READ: Duration = Duration::from_mins(1);

/// What every look at a folder shares.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) settings: Arc<Settings>,
    pub(super) ledger: Ledger,
    pub(super) mounts: Mounts,
    inspector: Arc<Inspector>,
    /// Memory for pictures, shared with whoever else works on them.
    pub(super) budget: Budget,
    pub(super) patience: Patience,
    /// Bounds the threads that read and decode.
    threads: Arc<Semaphore>,
    /// Why files cannot be tidied away, and why some cannot be read.
    pub(super) untidied: Chorus<String>,
    pub(super) unread: Chorus<String>,
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
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            inspector: Arc::new(Inspector::new(settings.images.clone(), budget.clone())),
            budget,
            mounts: Mounts::new(ledger.clone()),
            settings,
            ledger,
            patience: Patience::default(),
            threads: Arc::new(Semaphore::new(cores)),
            untidied: Chorus::default(),
            unread: Chorus::default(),
            stop,
            metrics: metrics.clone(),
        }
    }

    /// Inspects on a blocking thread, when one is free.
    pub(super) fn inspect(
        &self,
        folder: Arc<OwnedFd>,
        entry: &Entry,
    ) -> JoinHandle<io::Result<Option<Inspected>>> {
        let (inspector, threads, entry) = (self.inspector.clone(), self.threads.clone(), entry.clone());
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            let _permit = threads.acquire_owned().await.map_err(io::Error::other)?;
            let look = tokio::task::spawn_blocking(move || {
                let began = std::time::Instant::now();
                let result = look_at(&inspector, &folder, &entry);
                metrics.inspected(began.elapsed());
                result
            });
            // a read that a dead file server never ends gives its place to another
            let Ok(look) = tokio::time::timeout(LONGEST_READ, look).await else {
                return Err(io::Error::new(io::ErrorKind::TimedOut, SILENT));
            };
            look.map_err(io::Error::other)?
        })
    }
}
