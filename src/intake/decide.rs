//! What each name in a folder needs, decided without reading any file.

use std::collections::HashMap;
use std::ffi::OsString;

use tokio::time::Instant;

use super::IntakeError;
use super::reconcile::Reconcile;
use super::scan::{Entry, Listing};
use super::stability::Stability;
use crate::domain::brand::UploadId;
use crate::domain::text::shown;
use crate::domain::upload::State;
use crate::files::Kind;
use crate::ledger::UploadSnapshot;

/// What a listed file needs.
enum Step {
    Nothing,
    /// It is being sent as it was before: publish hands it back when that has ended.
    RequestRecheck(UploadId),
    Renamed(UploadId, State),
    Inspect,
    Wait(Instant),
}

impl Reconcile<'_> {
    /// Decides for each name, without reading any file. Gives back what is to be inspected.
    pub(super) async fn sort_out<'l>(
        &mut self,
        listing: &'l Listing,
        known: &HashMap<OsString, UploadSnapshot>,
        missing: &mut Vec<&UploadSnapshot>,
    ) -> Result<Vec<&'l Entry>, IntakeError> {
        let names = listing.names();
        self.folder.stability.keep_only(&names);
        self.folder.unreadable.retain(|name| names.contains(name.as_os_str()));
        let mut ready = Vec::new();
        // a new file that is before them by name is about to be complete: those behind it wait until then
        let mut first_until = None;
        for entry in &listing.entries {
            let row = known.get(&entry.name);
            match self.step(entry, row, missing) {
                Step::Nothing => self.folder.stability.forget(&entry.name),
                Step::RequestRecheck(id) => {
                    self.folder.stability.forget(&entry.name);
                    self.ctx.ledger.recheck_requested(self.folder.brand, id).await?;
                }
                Step::Renamed(id, state) => {
                    missing.retain(|row| row.id != id);
                    if self.rename(entry, id, state).await? {
                        ready.push(entry);
                    }
                }
                Step::Inspect
                    if row.is_none() && first_until > Some(self.now.steady) && self.is_new(entry) =>
                {
                    self.wait_in_order(entry, first_until);
                }
                Step::Inspect => ready.push(entry),
                Step::Wait(at) => {
                    let settle = self.ctx.settings.watch.settle;
                    first_until =
                        first_until.max(self.folder.stability.is_new_until(&entry.name, self.now, settle));
                    self.wait(entry, at);
                }
            }
        }
        Ok(ready)
    }

    /// True when the file is to be inspected all the same.
    async fn rename(&mut self, entry: &Entry, id: UploadId, state: State) -> Result<bool, IntakeError> {
        self.folder.stability.forget(&entry.name);
        let path = self.folder.path.join(&entry.name);
        if !self.ctx.ledger.renamed(self.folder.brand, id, &path, entry.meta.ctime_ns).await? {
            return Ok(true);
        }
        let (brand, file) = (self.folder.brand.brand, shown(&entry.name));
        tracing::info!(%brand, %file, id = id.0, "renamed; nothing is sent");
        // the name may have been the reason
        Ok(state == State::Rejected)
    }

    /// A complete file waits for those before it by name.
    fn wait_in_order(&mut self, entry: &Entry, first_until: Option<Instant>) {
        self.folder.stability.look_again(&entry.name);
        self.waits_in_order = true;
        self.scan_again(first_until.unwrap_or(self.now.steady));
        self.outcome.incomplete += 1;
    }

    fn is_new(&self, entry: &Entry) -> bool {
        let settle = self.ctx.settings.watch.settle;
        self.folder.stability.is_new_until(&entry.name, self.now, settle).is_some()
    }

    fn step(&mut self, entry: &Entry, row: Option<&UploadSnapshot>, missing: &[&UploadSnapshot]) -> Step {
        let touched = self.folder.stability.is_pending(&entry.name)
            && self.folder.put_back.get(&entry.name) != Some(&entry.meta.ctime_ns);
        let unchanged = !touched && row.is_some_and(|row| row.is_unchanged(&entry.meta));
        match row {
            Some(row) if row.state == State::Uploading && !unchanged && row.recheck.is_none() => {
                return Step::RequestRecheck(row.id);
            }
            Some(row) if row.state == State::Uploading => return Step::Nothing,
            Some(row) if unchanged && (row.recheck.is_none() || row.state == State::Uploaded) => {
                return Step::Nothing;
            }
            _ => {}
        }
        let is_it = |row: &&&UploadSnapshot| row.stamp == entry.meta.stamp && row.state != State::Gone;
        if let Some(old) = missing.iter().find(is_it).filter(|_| row.is_none()) {
            return Step::Renamed(old.id, old.state);
        }
        if entry.meta.kind != Kind::Regular || unchanged {
            return Step::Inspect;
        }
        let watch = &self.ctx.settings.watch;
        match self.folder.stability.judge(&entry.name, &entry.meta, self.now, watch.settle, watch.grace) {
            Stability::Complete => Step::Inspect,
            Stability::Again(at) => Step::Wait(at),
        }
    }
}
