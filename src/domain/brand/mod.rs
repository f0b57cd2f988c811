//! The brand: its slots, its files, and every rule of what may become of them.
//!
//! A brand is loaded whole, one method is applied to it, and what changed is written back (`ledger`). Nothing here
//! reads a clock, a disk or a database: time and everything else that a rule needs to know comes in as [`Moment`].
//!
//! | who | method | from | to |
//! |---|---|---|---|
//! | intake | [`Brand::take_in`] | no row, or any | `queued` or `rejected`; `uploaded` if OSS has these bytes; as it was if it holds them already, or is `uploading` |
//! | intake | [`Brand::renamed`], [`Brand::moved`] | any but `gone` | the same, under its new name, or in its new folder |
//! | intake | [`Brand::vanished`] | `queued`, `retrying`, `failed`, `rejected` | `gone`; `uploaded` if OSS has these bytes; no row, of the oldest `gone` ones |
//! | publish | [`Brand::start`] | `queued`, `retrying` | `uploading` |
//! | publish | [`Brand::finish`] | `uploading`, with this claim | `uploaded`, `retrying`, `failed` |
//! | publish | [`Brand::extend`] | `uploading`, with this claim | the same, with a longer lease |
//! | publish | [`Brand::interrupted`] | `uploading` | `queued` |
//! | publish | [`Brand::make_due`] | `queued`, `retrying` | the same, due now: the clock was set |
//! | operator | [`Brand::retry`] | any but `gone`, `uploading` | `queued`; `rejected`, if no slot is free; or looked at again |
//! | operator | [`Brand::release`] | | a slot is free |
//! | operator | [`Brand::reserve`] | `queued`, `retrying` | the same, in another slot, or `rejected`, if none is free: theirs is kept free |
//! | operator | [`Brand::adopt`] | `queued` and held | `uploaded` |
//! | configuration | [`Brand::resize`] | | another number of slots |
//! | each that ends in `settle` | | `rejected` for want of a slot | `queued` |
//! | all | [`Brand::recheck_requested`], [`Brand::recheck_done`] | | intake looks at a file again |
//!
//! Whatever can free a slot, or change what a file stands for, ends in `settle`: free slots go to the files that wait
//! for one, oldest first, and files that were refused as copies of a file that no longer stands are looked at again. [`Brand::check`] names the invariants that are broken;
//! tests and debug builds ask it after every step.

mod attempt;
mod changes;
mod claim;
mod inbox;
mod intake;
mod invariants;
mod key;
mod label;
mod operator;
mod place;
mod settle;
mod slots;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

pub use attempt::{AttemptEnd, AttemptRecord, ClaimTerms, Outcome};
pub use changes::{Changes, Refused};
pub use claim::Claim;
pub use inbox::{Inbox, InboxId};
pub use intake::{Absent, InspectedFile, Inspection, RecordResult};
pub use key::{BrandError, BrandId, BrandKey, BrandType, RecordId};
pub use label::{clean_label, read_folder_name, with_label};
pub use operator::{Displaced, Refusal};
pub use upload::{ClaimToken, Recheck, Upload, UploadId, UploadState};

/// What the rules know of the world outside their brand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Where new files are found: the inbox of the daemon whose rules these are.
    pub inbox: Inbox,
    /// The time now.
    pub now: Timestamp,
    /// The round of the queue that is on: in each round every brand sends one file.
    pub round: i64,
    /// An operator has paused the uploads: nothing is claimed.
    pub suspended: bool,
    /// The database was rebuilt: files from before then are held until an operator says what they are.
    pub hold_before: Option<Timestamp>,
}

/// A brand with its slots and files.
#[derive(Debug, Clone)]
pub struct Brand {
    id: BrandId,
    key: BrandKey,
    slots_total: u32,
    reserved: BTreeSet<u32>,
    files: BTreeMap<UploadId, Arc<Upload>>,
    /// The id of the next file that is new.
    next_id: UploadId,
    /// Attempts that ended since it was loaded.
    attempts: Vec<AttemptRecord>,
}

impl Brand {
    /// A brand as it was loaded. `next_id` is above every id that any brand's file has.
    pub fn new(
        id: BrandId,
        key: BrandKey,
        slots_total: u32,
        reserved: impl IntoIterator<Item = u32>,
        files: impl IntoIterator<Item = Upload>,
        next_id: UploadId,
    ) -> Self {
        Self {
            id,
            key,
            slots_total,
            reserved: reserved.into_iter().collect(),
            files: files.into_iter().map(|file| (file.id, Arc::new(file))).collect(),
            next_id,
            attempts: Vec::new(),
        }
    }

    /// Its number.
    pub fn id(&self) -> BrandId {
        self.id
    }

    /// Which brand it is.
    pub fn key(&self) -> BrandKey {
        self.key
    }

    /// How many slots it has.
    pub fn slots_total(&self) -> u32 {
        self.slots_total
    }

    /// Its files, in the order of their ids.
    pub fn files(&self) -> impl Iterator<Item = &Upload> {
        self.files.values().map(|file| &**file)
    }

    /// One of its files.
    pub fn file(&self, id: UploadId) -> Option<&Upload> {
        self.files.get(&id).map(|file| &**file)
    }

    /// The file that has this path in an inbox.
    pub fn file_at(&self, inbox: InboxId, path: &Path) -> Option<&Upload> {
        self.files().find(|file| file.inbox.id == inbox && file.path == path)
    }

    /// The file that has this slot.
    pub fn owner(&self, slot: u32) -> Option<&Upload> {
        self.files().find(|file| file.slot == Some(slot))
    }

    /// How many files it has.
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// The id that the next new file of any brand gets.
    pub fn next_id(&self) -> UploadId {
        self.next_id
    }

    /// The same brand, whose next new file gets this id: other brands gave ids meanwhile.
    #[must_use]
    pub fn with_next_id(self, next_id: UploadId) -> Self {
        Self { next_id, ..self }
    }

    /// The same brand when its changes were written.
    #[must_use]
    pub fn as_committed(self) -> Self {
        Self { attempts: Vec::new(), ..self }
    }

    /// Makes all files of an inbox due that wait: their due times come from a clock that has been set since.
    pub fn make_due(&mut self, at: &Moment) {
        let waits = |file: &&mut Arc<Upload>| file.inbox == at.inbox && file.state.due().is_some();
        for file in self.files.values_mut().filter(waits).map(Arc::make_mut) {
            if let UploadState::Queued { due, .. } | UploadState::Retrying { due, .. } = &mut file.state {
                *due = at.now;
            }
        }
    }

    /// Gives the brand another number of slots. More than before let waiting files in; fewer take none away.
    pub fn resize(&mut self, slots_total: u32, at: &Moment) {
        self.slots_total = slots_total;
        self.settle(at);
    }

    fn file_mut(&mut self, id: UploadId) -> Option<&mut Upload> {
        self.files.get_mut(&id).map(Arc::make_mut)
    }
}
