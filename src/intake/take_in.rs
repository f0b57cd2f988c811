//! Files that are ready are inspected and recorded, a batch at a time.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;

use super::IntakeError;
use super::reads::Reading;
use super::reconcile::{KnownFiles, Reconcile};
use super::scan::{Entry, Listing};
use crate::config::After;
use crate::domain::upload::State;
use crate::ledger::{InspectedFile, RecordResult, UploadSnapshot};

/// So many files are inspected before their rows are written: the order of names is kept, and a large folder
/// does not wait for its last file.
const BATCH: usize = 32;

impl Reconcile<'_> {
    /// False: there was no time for all of it.
    pub(super) async fn take_in_all(
        &mut self,
        listing: &Listing,
        ready: &[&Entry],
        mut known: KnownFiles<'_>,
    ) -> Result<bool, IntakeError> {
        for batch in ready.chunks(BATCH) {
            if self.ctx.stop.is_cancelled() {
                return Ok(false);
            }
            let found = self.inspect(listing, batch, known.here).await?;
            if !found.is_empty() {
                self.record(found, &mut known).await?;
            }
        }
        Ok(true)
    }

    /// Inspects a batch side by side. What cannot be decided yet is left out.
    async fn inspect(
        &mut self,
        listing: &Listing,
        batch: &[&Entry],
        known: &HashMap<OsString, UploadSnapshot>,
    ) -> Result<Vec<InspectedFile>, IntakeError> {
        let together = self.ctx.inspected_together(listing.device);
        let inspect = |entries: &[&Entry]| {
            self.ctx.inspect(&self.folder.path, listing.folder.clone(), listing.device, entries)
        };
        let readings: Vec<_> = batch.chunks(together).map(inspect).collect();
        let mut found = Vec::new();
        for (entries, readings) in batch.chunks(together).zip(readings) {
            let readings = readings.await.map_err(|error| IntakeError::Thread(io::Error::other(error)))?;
            for (entry, reading) in entries.iter().zip(readings) {
                match reading {
                    Reading::Done(answer) => {
                        found.extend(self.conclude(entry, answer, known.get(&entry.name)));
                    }
                    Reading::UnderWay(status) => self.read_under_way(entry, status),
                }
            }
        }
        Ok(found)
    }

    /// Records a batch in order.
    async fn record(
        &mut self,
        found: Vec<InspectedFile>,
        known: &mut KnownFiles<'_>,
    ) -> Result<(), IntakeError> {
        let (missing, relocated) = (known.missing.clone(), known.relocated.clone());
        for recorded in self.ctx.ledger.record(self.folder.brand, found, missing, relocated).await? {
            // the file whose new name it is, is no longer missing
            known.missing.retain(|id| *id != recorded.id);
            self.finish_recorded(recorded);
        }
        Ok(())
    }

    fn finish_recorded(&mut self, recorded: RecordResult) {
        let name = recorded.path.file_name().unwrap_or_default();
        self.folder.stability.forget(name);
        if self.folder.unreadable.remove(name) {
            self.ctx.unreadable.succeeded();
        }
        if recorded.state == State::Uploaded && self.ctx.settings.upload.after != After::Keep {
            // known already: nothing is sent, but it is to be tidied away
            self.scan_again(self.now.steady);
        }
        self.log_recorded(recorded);
    }
}
