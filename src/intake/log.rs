//! What intake logs of a folder and its files: each thing once, however many files it is true of.

use std::ffi::{OsStr, OsString};
use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::IntakeError;
use super::folder::{READ_AGAIN, Reconcile};
use super::reads::ReadStatus;
use super::scan::Entry;
use crate::domain::brand::BrandKey;
use crate::domain::event;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::visible;
use crate::fs_timeout::NOT_RESPONDING;
use crate::ledger::RecordResult;
use crate::telemetry::repeat::RepeatLimiter;

/// So many names are logged.
const NAMED: usize = 3;

/// While more files come, those that found no slot are counted for so long before that is logged.
const COUNT: Duration = Duration::from_secs(10);

/// Files of a brand that found no slot: one warning, with a count.
#[derive(Debug, Default)]
pub(super) struct LimitLog {
    limiter: RepeatLimiter<()>,
    /// Those that are not logged yet: since when, the first of them, and how many there are.
    files: Option<(Instant, Vec<RecordResult>, usize)>,
}

impl LimitLog {
    fn add(&mut self, files: Vec<RecordResult>, now: Instant) {
        let (_, first, count) = self.files.get_or_insert_with(|| (now, Vec::new(), 0));
        *count += files.len();
        first.extend(files);
        first.truncate(NAMED);
    }

    /// What is to be logged now; `more`: other files are about to come.
    fn due(&mut self, more: bool, now: Instant) -> Option<(Vec<RecordResult>, usize)> {
        let (since, ..) = self.files.as_ref()?;
        if more && now.duration_since(*since) < COUNT {
            return None;
        }
        self.limiter.should_log(())?;
        self.files.take().map(|(_, files, count)| (files, count))
    }

    /// A file has found a slot.
    fn resolved(&mut self) {
        self.files = None;
        self.limiter.resolved();
    }
}

impl Reconcile<'_> {
    pub(super) fn complain(&mut self, error: &io::Error) {
        if let Some(times) = self.folder.problems.should_log(error.to_string()) {
            let folder = self.folder.path.display();
            let what = match error.kind() {
                io::ErrorKind::NotFound => {
                    "is not there; its files wait (make it, or correct the path of its [[brand]])"
                }
                io::ErrorKind::PermissionDenied if error.raw_os_error().is_some() => {
                    "cannot be read; its files wait (give the service's user access to it)"
                }
                _ => "cannot be read; its files wait",
            };
            tracing::warn!(message_id = event::FOLDER_LOST, %folder, times, "the folder {what}: {error}");
        }
    }

    /// A file has found its place in the table. Those that were refused are logged at the end of the look.
    pub(super) fn log_recorded(&mut self, recorded: RecordResult) {
        let (brand, id, state, slot) =
            (self.folder.brand.brand, recorded.id.0, recorded.state, recorded.slot);
        match &recorded.refused {
            // a file that grows, as a log does, is refused again and again for one reason
            Some(_) if !recorded.news => {}
            Some(failure) => {
                self.ctx.metrics.rejected(failure.kind);
                self.refused.push(recorded);
            }
            None => {
                let file = visible(&recorded.path.file_name().unwrap_or_default().to_string_lossy());
                tracing::info!(message_id = event::RECORDED, %brand, %file, id, %state, slot, "recorded");
                self.folder.full.resolved();
            }
        }
    }

    /// Files that were refused for one reason are one warning.
    pub(super) fn log_refused(&mut self) {
        let mut groups: Vec<(Failure, Vec<RecordResult>)> = Vec::new();
        for recorded in std::mem::take(&mut self.refused) {
            let Some(failure) = recorded.refused.clone() else { continue };
            match groups.iter_mut().find(|(other, _)| *other == failure) {
                Some((_, files)) => files.push(recorded),
                None => groups.push((failure, vec![recorded])),
            }
        }
        for (failure, files) in groups {
            match failure.kind {
                ErrorKind::LimitReached => self.folder.full.add(files, self.now.steady),
                _ => self.log_group(&files, files.len()),
            }
        }
        if let Some((files, count)) = self.folder.full.due(self.outcome.copying > 0, self.now.steady) {
            self.log_group(&files, count);
        }
    }

    /// `files`: all of them, or the first few.
    fn log_group(&self, files: &[RecordResult], count: usize) {
        let Some((first, failure)) = files.first().and_then(|first| Some((first, first.refused.as_ref()?)))
        else {
            return;
        };
        let (brand, id, state) = (self.folder.brand.brand, first.id.0, first.state);
        let name =
            |file: &RecordResult| visible(&file.path.file_name().unwrap_or_default().to_string_lossy());
        let names = files.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
        let file = match count.saturating_sub(NAMED) {
            0 => names,
            more => format!("{names} and {more} more"),
        };
        tracing::warn!(message_id = event::REJECTED, %brand, %file, count, id, %state, error_kind = %failure.kind, "{}. {}", failure.message, failure.kind.advice());
    }

    /// An archive that is full is full for all files.
    pub(super) fn log_tidied(&self, brand: BrandKey, done: &Result<(), (OsString, io::Error)>) {
        let untidied = &self.ctx.untidied;
        match done {
            Ok(()) => untidied.succeeded(),
            Err((name, error)) => {
                if let Some(times) = untidied.should_log(error.to_string()) {
                    let file = visible(&name.to_string_lossy());
                    tracing::warn!(%brand, %file, times, "uploaded files cannot be tidied away; they stay, are not sent again, and it is tried every minute: {error}");
                }
            }
        }
    }

    pub(super) fn log_what_is_over(&self) {
        for over in self.ctx.untidied.ended() {
            tracing::info!(times = over.times, error = over.problem, "uploaded files are tidied away again");
        }
        for over in self.ctx.unreadable.ended() {
            tracing::info!(times = over.times, error = over.problem, "files can be read again");
        }
    }

    /// It may pass: a file server's hiccup.
    pub(super) fn cannot_be_read(&mut self, name: &OsStr, error: &io::Error) {
        self.waiting.insert(name.to_owned());
        if self.folder.unread.insert(name.to_owned()) {
            let file = visible(&self.folder.path.join(name).to_string_lossy());
            let times = self.ctx.unreadable.should_log(error.to_string());
            if times.is_some() {
                tracing::warn!(%file, %error, times, "the file cannot be read now; it is tried again");
            } else {
                tracing::debug!(%file, %error, "the file cannot be read now; it is tried again");
            }
        }
        self.outcome.copying += 1;
        self.look_again(self.now.steady + READ_AGAIN);
    }

    /// It takes long to read a file, or it was not begun yet: a later look takes what comes of it.
    pub(super) fn read_under_way(&mut self, entry: &Entry, status: ReadStatus) {
        self.folder.stability.closed([entry.name.clone()]);
        if status.stuck {
            return self
                .cannot_be_read(&entry.name, &io::Error::new(io::ErrorKind::TimedOut, NOT_RESPONDING));
        }
        let read = status.bytes.map(|bytes| (entry.name.clone(), bytes, entry.look.stamp.size));
        self.reading.extend(read);
        self.wait(entry, self.now.steady + READ_AGAIN);
    }

    /// Tells `status` which files it takes long to read, and how far they are.
    pub(super) async fn note_reading(&mut self) -> Result<(), IntakeError> {
        let files = std::mem::take(&mut self.reading);
        if files.is_empty() && !self.folder.reading {
            return Ok(());
        }
        for (name, _, size) in &files {
            if self.ctx.slow.should_log(()).is_some() {
                let file = visible(&self.folder.path.join(name).to_string_lossy());
                tracing::warn!(%file, size, "files are read slowly; each is taken when it was read whole, and holds up no others");
            }
        }
        self.folder.reading = !files.is_empty();
        Ok(self.ctx.ledger.set_reading(self.folder.brand, &self.folder.path, &files).await?)
    }
}
