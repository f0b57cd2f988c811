//! Rows whose file is not where it was: moved to another name or folder, or gone.

use std::collections::{HashMap, HashSet};

use super::IntakeError;
use super::reconcile::Reconcile;
use super::renamed_folders::follow;
use super::scan::Listing;
use crate::domain::brand::UploadId;
use crate::domain::event;
use crate::domain::upload::State;
use crate::files;
use crate::fs_timeout::Question;
use crate::ledger::UploadSnapshot;

impl Reconcile<'_> {
    /// Rows of the brand's other folders whose file is no longer where it was; none while the folder's file system
    /// does not answer. One that is neither a local disk nor this folder's is not asked: it is somebody else's.
    pub(super) async fn gone_elsewhere(&self, device: u64, rows: Vec<UploadSnapshot>) -> Vec<UploadId> {
        let Some(first) = rows.first().map(|row| row.path.clone()) else { return Vec::new() };
        let (settings, devices) = (self.ctx.settings.clone(), self.ctx.devices.clone());
        let gone = move || {
            let mut is_asked = HashMap::new();
            let mut is_gone = |row: &&UploadSnapshot| {
                let Some(folder) = row.path.parent() else { return false };
                let top = settings.top_of(folder);
                let is_asked = is_asked.entry(folder.to_owned());
                let is_asked = is_asked.or_insert_with(|| devices.may_ask(folder, Some(device)));
                *is_asked && files::is_missing(top, &row.path)
            };
            rows.iter().filter(|row| is_gone(row)).map(|row| row.id).collect()
        };
        self.ctx.fs_timeouts.run(&first, Question::GoneElsewhere, gone).await.unwrap_or_default()
    }

    /// The folder was removed, and all that was in it, unless it has another name now.
    pub(super) async fn mark_all_gone(&mut self) -> Result<(), IntakeError> {
        let mut rows = self.ctx.ledger.known(self.folder.brand).await?;
        rows.retain(|row| self.is_here(row));
        if let Some(folders) = self.folder.moved_to.take() {
            let moved = follow(self.ctx, self.folder.brand, &rows, folders).await?;
            rows.retain(|row| !moved.contains(&row.id));
        }
        if !rows.is_empty() {
            let missing = rows.iter().map(|row| row.id).collect();
            self.ctx.ledger.vanished(self.folder.brand, missing).await?;
        }
        Ok(())
    }

    pub(super) async fn mark_gone(
        &self,
        listing: &Listing,
        missing: &[&UploadSnapshot],
    ) -> Result<(), IntakeError> {
        let is_open = |row: &&&UploadSnapshot| match row.state {
            State::Uploaded | State::Gone | State::Uploading => false,
            // no other file takes its place
            State::Rejected => true,
            // a file that was held back may be it under a new name
            _ => !self.waits_in_order,
        };
        let ids: Vec<_> = missing.iter().filter(is_open).map(|row| row.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        // some of them may have been found under another name meanwhile
        let ids = self.still_missing(listing, ids).await?;
        if !ids.is_empty() {
            let count = self.ctx.ledger.vanished(self.folder.brand, ids).await?;
            tracing::info!(message_id = event::GONE, brand = %self.folder.brand.brand, count, "files were deleted before they could be sent");
        }
        Ok(())
    }

    async fn still_missing(
        &self,
        listing: &Listing,
        ids: Vec<UploadId>,
    ) -> Result<Vec<UploadId>, IntakeError> {
        let rows = self.ctx.ledger.known(self.folder.brand).await?;
        let listed = listing.names();
        let is_listed = |row: &&UploadSnapshot| {
            self.is_here(row) && row.path.file_name().is_some_and(|name| listed.contains(name))
        };
        let there: HashSet<UploadId> = rows.iter().filter(is_listed).map(|row| row.id).collect();
        Ok(ids.into_iter().filter(|id| !there.contains(id)).collect())
    }
}
