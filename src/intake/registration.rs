//! New folders get their brand's row, and brands their labels, beside intake's loop: there may be ten thousands of them.

use std::collections::HashMap;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::agenda::Priority;
use super::discovery::BrandFolder;
use super::folder::Folder;
use super::labels::{self, NewLabels};
use super::tracked::{Job, Presence};
use super::{Intake, IntakeError};
use crate::domain::brand::BrandKey;
use crate::ledger::{BrandRow, LedgerError};

/// More new folders than this are not urgent: files that arrive in others come first.
pub(super) const MANY: usize = 64;

/// What is to be written of new folders.
#[derive(Debug, Default)]
pub(super) struct Registration {
    folders: Vec<(BrandKey, PathBuf)>,
    labels: NewLabels,
    under_way: bool,
    /// What there was at the start is registered.
    first_done: bool,
}

/// What was written.
pub(super) struct Registered {
    folders: Vec<(BrandKey, PathBuf)>,
    written: Result<(HashMap<BrandKey, BrandRow>, NewLabels), LedgerError>,
}

impl Registration {
    /// Is nothing to be written, or being written?
    pub(super) fn is_idle(&self) -> bool {
        !self.under_way && self.folders.is_empty() && self.labels.is_empty()
    }
}

impl Intake {
    /// Has folders registered that are new, and labels written that are others than before.
    pub(super) fn request_registration(&mut self, found: &[BrandFolder], labels: NewLabels) {
        let new = found.iter().filter(|folder| self.tracked.is_unregistered(&folder.path));
        self.registration.folders = new.map(|folder| (folder.brand, folder.path.clone())).collect();
        self.registration.labels = labels;
    }

    /// The registration that is requested, for the caller to run.
    pub(super) fn next_registration(&mut self) -> Option<BoxFuture<'static, Registered>> {
        if self.registration.under_way || self.registration.is_idle() {
            return None;
        }
        self.registration.under_way = true;
        let folders = std::mem::take(&mut self.registration.folders);
        let labels = std::mem::take(&mut self.registration.labels);
        let (ledger, settings) = (self.ctx.ledger.clone(), self.ctx.settings.clone());
        Some(Box::pin(async move {
            let brands: Vec<_> =
                folders.iter().map(|(brand, _)| (*brand, settings.slots_of(*brand))).collect();
            let write = async {
                let rows = if brands.is_empty() { Vec::new() } else { ledger.register(&brands).await? };
                let labels = labels::write(&ledger, labels).await?;
                Ok((rows.into_iter().map(|row| (row.brand, row)).collect(), labels))
            };
            let written = write.await;
            Registered { folders, written }
        }))
    }

    pub(super) fn end_registration(&mut self, registered: Registered) -> Result<(), IntakeError> {
        self.registration.under_way = false;
        let (rows, labels) = match registered.written {
            Ok(written) => written,
            Err(error) => return self.defer_if_transient(Err(error.into())),
        };
        self.note_labels(labels);
        let is_first = !std::mem::replace(&mut self.registration.first_done, true);
        let priority = match is_first || registered.folders.len() > MANY {
            true => Priority::Routine,
            false => Priority::Urgent,
        };
        let now = Instant::now();
        for (brand, path) in registered.folders {
            let Some(row) = rows.get(&brand).copied().filter(|_| self.tracked.is_unregistered(&path)) else {
                continue;
            };
            self.orphans.folder_is_back(&path);
            let job = Job::Idle(Box::new(Folder::new(row, path.clone())));
            let is_listed = |presence| matches!(presence, Presence::Listed(_));
            let listed = self.tracked.update(&path, |folder| {
                folder.job = job;
                folder.presence_changed = false;
                is_listed(folder.presence)
            });
            if listed.unwrap_or_default() {
                self.agenda.add(&path, now, priority);
            }
        }
        self.plan_due |= priority == Priority::Routine;
        Ok(())
    }
}
