//! What is remembered of a brand's folder between scans.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;

use super::limit_log::LimitLog;
use super::stability::StabilityTracker;
use super::watch::{Unwatched, Watch};
use crate::files::Identity;
use crate::ledger::BrandRow;
use crate::telemetry::repeat::RepeatLimiter;

/// A scan has its folder watched.
#[derive(Debug)]
pub(super) struct WatchAttempt {
    /// Which folder it must be.
    pub(super) identity: Identity,
    /// Whether it is watched now; `None`: it was not opened.
    pub(super) end: Option<Result<(), Unwatched>>,
}

impl WatchAttempt {
    /// An answer came, which may be late and of another folder that was at this path.
    pub(super) fn answered(
        &mut self,
        watch: &Watch,
        path: &Path,
        (identity, end): (Identity, Result<(), Unwatched>),
    ) {
        let is_late = identity != self.identity;
        if is_late && end.is_ok() {
            watch.remove(path, identity);
        }
        self.end = Some(if is_late { Err(Unwatched::Replaced) } else { end });
    }
}

/// A brand's folder and what is remembered of it between scans.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) brand: BrandRow,
    pub(super) path: PathBuf,
    pub(super) stability: StabilityTracker,
    /// It is not there any more, and that is certain.
    pub(super) removed: bool,
    /// It is gone, and where its files may be now: in these folders of its brand.
    pub(super) moved_to: Option<Arc<[PathBuf]>>,
    /// It is to be watched by this scan.
    pub(super) watch: Option<WatchAttempt>,
    /// Why it cannot be read.
    pub(super) problems: RepeatLimiter<String>,
    /// Files that could not be read when they were inspected last.
    pub(super) unreadable: HashSet<OsString>,
    /// Tidying failed; it is tried again then.
    pub(super) tidy_after: Option<Instant>,
    /// The ctimes of files that were put back when they could not be tidied away: nobody else has touched them.
    pub(super) put_back: HashMap<OsString, i64>,
    /// The database says that files in it are being read.
    pub(super) reading: bool,
    /// Files that found no slot, which few folders have.
    pub(super) limit_log: Option<Box<LimitLog>>,
}

impl Folder {
    pub(super) fn new(brand: BrandRow, path: PathBuf) -> Self {
        Self {
            brand,
            path,
            stability: StabilityTracker::default(),
            removed: false,
            moved_to: None,
            watch: None,
            problems: RepeatLimiter::default(),
            unreadable: HashSet::new(),
            tidy_after: None,
            put_back: HashMap::new(),
            reading: false,
            limit_log: None,
        }
    }
}
