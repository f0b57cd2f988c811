//! Files that cannot be read now, or that it takes long to read: a later scan takes them in.

use std::ffi::OsStr;
use std::io;

use tokio::time::Instant;

use super::IntakeError;
use super::reads::ReadStatus;
use super::reconcile::{READ_RETRY, Reconcile};
use super::scan::Entry;
use crate::fs_timeout::not_responding;

impl Reconcile<'_> {
    /// A file is not complete yet.
    pub(super) fn wait(&mut self, entry: &Entry, until: Instant) {
        self.waiting.insert(entry.name.clone());
        self.outcome.incomplete += 1;
        self.scan_again(until);
    }

    /// It may pass: a file server's hiccup.
    pub(super) fn cannot_be_read(&mut self, name: &OsStr, error: &io::Error) {
        self.waiting.insert(name.to_owned());
        if self.folder.unreadable.insert(name.to_owned()) {
            self.log_unreadable_file(&self.folder.path.join(name), error);
        }
        self.outcome.incomplete += 1;
        self.scan_again(self.now.steady + READ_RETRY);
    }

    /// It takes long to read a file, or that was not begun yet: a later scan takes the result.
    pub(super) fn read_under_way(&mut self, entry: &Entry, status: ReadStatus) {
        self.folder.stability.look_again(&entry.name);
        if status.stuck {
            let error = not_responding();
            return self.cannot_be_read(&entry.name, &error);
        }
        let read = status.bytes.map(|bytes| (entry.name.clone(), bytes, entry.meta.stamp.size));
        self.reading.extend(read);
        self.wait(entry, self.now.steady + READ_RETRY);
    }

    /// Records for `status` which files it takes long to read, and how far they are.
    pub(super) async fn record_reading(&mut self) -> Result<(), IntakeError> {
        let files = std::mem::take(&mut self.reading);
        if files.is_empty() && !self.folder.reading {
            return Ok(());
        }
        for (name, _, size) in &files {
            self.log_slow_file(&self.folder.path.join(name), *size);
        }
        self.folder.reading = !files.is_empty();
        Ok(self.ctx.ledger.set_reading(self.folder.brand, &self.folder.path, &files).await?)
    }
}
