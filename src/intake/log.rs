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

/// As long as a brand's slots are full, that is logged this often.
const REMIND: Duration = Duration::from_hours(1);

/// A folder that comes and goes is logged so often in that time.
const LOSSES: u32 = 5;

/// So many names are logged.
const NAMED: usize = 3;

/// While more files come, those that found no slot are counted for so long before that is logged.
const COUNT: Duration = Duration::from_secs(10);

/// How often a folder was lost. Its owner can take it away and give it back all the time.
#[derive(Debug, Default)]
pub(super) struct LossLog {
    since: Option<Instant>,
    count: u32,
}

impl LossLog {
    /// One more.
    fn add(&mut self, now: Instant) {
        if self.since.is_none_or(|since| now.duration_since(since) >= REMIND) {
            *self = Self { since: Some(now), count: 0 };
        }
        self.count += 1;
    }

    /// Is the last one to be logged, and its end?
    pub(super) fn is_logged(&self) -> bool {
        self.count <= LOSSES
    }

    fn outlook(&self) -> &'static str {
        if self.count == LOSSES {
            "; it comes and goes, and is not logged for the rest of the hour"
        } else {
            ""
        }
    }
}

/// Files of a brand that found no slot: one warning, with a count.
#[derive(Debug, Default)]
pub(super) struct LimitLog {
    logged: Option<Instant>,
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
        let said = self.logged.is_some_and(|logged| now.duration_since(logged) < REMIND);
        if said || (more && now.duration_since(*since) < COUNT) {
            return None;
        }
        self.logged = Some(now);
        self.files.take().map(|(_, files, count)| (files, count))
    }
}

impl Reconcile<'_> {
    pub(super) fn complain(&mut self, error: &io::Error) {
        let text = error.to_string();
        if self.folder.trouble.as_ref() != Some(&text) {
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
            self.folder.losses.add(self.now.steady);
            if self.folder.losses.is_logged() {
                tracing::warn!(message_id = event::FOLDER_LOST, %folder, "the folder {what}: {error}{}", self.folder.losses.outlook());
            }
            self.folder.trouble = Some(text);
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
                self.folder.full = LimitLog::default();
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
        let (chorus, now) = (&self.ctx.untidied, std::time::Instant::now());
        match done {
            Ok(()) => chorus.heal(),
            Err((name, error)) => {
                if let Some(times) = chorus.join(error.to_string(), now) {
                    let file = visible(&name.to_string_lossy());
                    tracing::warn!(%brand, %file, times, "uploaded files cannot be tidied away; they stay, are not sent again, and it is tried every minute: {error}");
                }
            }
        }
    }

    pub(super) fn log_what_is_over(&self) {
        let now = std::time::Instant::now();
        for over in self.ctx.untidied.over(now) {
            tracing::info!(times = over.times, error = over.what, "uploaded files are tidied away again");
        }
        for over in self.ctx.unread.over(now) {
            tracing::info!(times = over.times, error = over.what, "files can be read again");
        }
    }

    /// It may pass: a file server's hiccup.
    pub(super) fn cannot_be_read(&mut self, name: &OsStr, error: &io::Error) {
        self.waiting.insert(name.to_owned());
        if self.folder.unread.insert(name.to_owned()) {
            let file = visible(&self.folder.path.join(name).to_string_lossy());
            let times = self.ctx.unread.join(error.to_string(), std::time::Instant::now());
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
            if self.ctx.slow.join((), std::time::Instant::now()).is_some() {
                let file = visible(&self.folder.path.join(name).to_string_lossy());
                tracing::warn!(%file, size, "files are read slowly; each is taken when it was read whole, and holds up no others");
            }
        }
        self.folder.reading = !files.is_empty();
        Ok(self.ctx.ledger.set_reading(self.folder.brand, &self.folder.path, &files).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_comes_and_goes_is_logged_a_few_times_an_hour() {
        let (mut losses, start) = (LossLog::default(), Instant::now());
        let mut lose = |minutes| {
            losses.add(start + Duration::from_mins(minutes));
            (losses.is_logged(), losses.outlook().is_empty())
        };
        for minute in 0..4 {
            assert_eq!(lose(minute), (true, true));
        }
        assert_eq!(lose(5), (true, false));
        for minute in 6..60 {
            assert_eq!(lose(minute), (false, true));
        }
        assert_eq!(lose(60), (true, true));
    }
}
