//! What is logged of a folder and its files: each thing once, however many files it is true of.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::limit_log::NAMED;
use super::reconcile::Reconcile;
use crate::domain::brand::BrandKey;
use crate::domain::event;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::{file_name, shown};
use crate::domain::texts::{self, Language, Place};
use crate::ledger::RecordResult;

impl Reconcile<'_> {
    pub(super) fn log_unreadable_folder(&self, error: &io::Error) {
        let Some(times) = self.folder.problems.should_log(error.to_string()) else { return };
        let folder = shown(self.folder.path.as_os_str());
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

    pub(super) fn log_readable_folder(&self) {
        if self.folder.problems.resolved().is_some() {
            let folder = shown(self.folder.path.as_os_str());
            tracing::info!(message_id = event::FOLDER_BACK, %folder, "the folder can be read again");
        }
    }

    /// A file has a row. Those that were rejected are logged at the end of the scan.
    pub(super) fn log_recorded(&mut self, recorded: RecordResult) {
        match &recorded.rejected {
            // a file that grows, as a log does, is rejected again and again for one reason
            Some(_) if !recorded.news => {}
            Some(failure) => {
                self.ctx.metrics.rejected(failure.kind);
                self.rejected.push(recorded);
            }
            None => {
                let (brand, id, state) = (self.folder.brand.brand, recorded.id.0, recorded.state);
                let (file, slot) = (file_name(&recorded.path), recorded.slot);
                tracing::info!(message_id = event::RECORDED, %brand, %file, id, %state, slot, "recorded");
                if let Some(log) = &mut self.folder.limit_log {
                    log.resolved();
                }
            }
        }
    }

    /// Files that were rejected for one reason are one warning.
    pub(super) fn log_rejected(&mut self) {
        let mut groups: Vec<(Failure, Vec<RecordResult>)> = Vec::new();
        for recorded in std::mem::take(&mut self.rejected) {
            let Some(failure) = recorded.rejected.clone() else { continue };
            match groups.iter_mut().find(|(other, _)| *other == failure) {
                Some((_, files)) => files.push(recorded),
                None => groups.push((failure, vec![recorded])),
            }
        }
        for (failure, files) in groups {
            match failure.kind {
                ErrorKind::LimitReached => {
                    self.folder.limit_log.get_or_insert_default().add(files, self.now.steady);
                }
                _ => self.log_group(&files, files.len()),
            }
        }
        if let Some(log) = &mut self.folder.limit_log
            && let Some((files, count)) = log.due(self.outcome.incomplete > 0, self.now.steady)
        {
            self.log_group(&files, count);
        }
    }

    /// `files`: all of them, or the first few.
    fn log_group(&self, files: &[RecordResult], count: usize) {
        let Some((first, failure)) = files.first().and_then(|first| Some((first, first.rejected.as_ref()?)))
        else {
            return;
        };
        let (brand, id, state) = (self.folder.brand.brand, first.id.0, first.state);
        let names: Vec<_> = files.iter().take(NAMED).map(|file| file_name(&file.path)).collect();
        let names = names.join(", ");
        let file = match count.saturating_sub(NAMED) {
            0 => names,
            more => format!("{names} and {more} more"),
        };
        let advice = texts::advice(failure.kind, Language::English, Place::CommandLine);
        tracing::warn!(
            message_id = event::REJECTED,
            %brand,
            %file,
            count,
            id,
            %state,
            error_kind = %failure.kind,
            "{}. {advice}",
            failure.message
        );
    }

    /// An archive that is full is full for all files.
    pub(super) fn log_tidied(&self, brand: BrandKey, done: &Result<(), (OsString, io::Error)>) {
        let untidied = &self.ctx.untidied;
        match done {
            Ok(()) => untidied.succeeded(),
            Err((name, error)) => {
                if let Some(times) = untidied.should_log(error.to_string()) {
                    let file = shown(name);
                    tracing::warn!(%brand, %file, times, "uploaded files cannot be tidied away; they stay, are not sent again, and it is tried every minute: {error}");
                }
            }
        }
    }

    pub(super) fn log_unreadable_file(&self, path: &Path, error: &io::Error) {
        let file = shown(path.as_os_str());
        let times = self.ctx.unreadable.should_log(error.to_string());
        if times.is_some() {
            tracing::warn!(%file, %error, times, "the file cannot be read now; it is tried again");
        } else {
            tracing::debug!(%file, %error, "the file cannot be read now; it is tried again");
        }
    }

    pub(super) fn log_slow_file(&self, path: &Path, size: u64) {
        if self.ctx.slow.should_log(()).is_some() {
            let file = shown(path.as_os_str());
            tracing::warn!(%file, size, "files are read slowly; each is taken in when it has been read to its end, and delays no others");
        }
    }

    pub(super) fn log_ended(&self) {
        for ended in self.ctx.untidied.ended() {
            let (times, error) = (ended.times, ended.problem);
            tracing::info!(times, error, "uploaded files are tidied away again");
        }
        for ended in self.ctx.unreadable.ended() {
            let (times, error) = (ended.times, ended.problem);
            tracing::info!(times, error, "files can be read again");
        }
    }
}
