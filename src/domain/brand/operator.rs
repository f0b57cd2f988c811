//! What operators ask for: try again, free a slot, keep one free, take as sent.

use super::{Brand, BrandKey, Moment, UploadId, UploadState};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::file_name;
use crate::domain::upload::State;

/// Why what an operator asked for cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No file has this number.
    #[error("there is no upload {0}; `brandpost status` lists them")]
    Unknown(UploadId),
    /// The file was deleted before it could be sent.
    #[error("the file of upload {0} is gone; drop it again")]
    Gone(UploadId),
    /// Somebody works on it.
    #[error("upload {0} is being sent right now")]
    BeingSent(UploadId),
    /// Nobody has the slot.
    #[error("slot {slot} of {brand} is free already")]
    FreeAlready {
        /// The slot that was asked for.
        slot: u32,
        /// Of which brand.
        brand: BrandKey,
    },
    /// The slot's file is still to be sent.
    #[error("slot {slot} of {brand} belongs to {file}, which is {state}; delete the file to stop it")]
    StillToBeSent {
        /// The slot that was asked for.
        slot: u32,
        /// Of which brand.
        brand: BrandKey,
        /// Whose it is.
        file: String,
        /// What became of it so far.
        state: State,
    },
    /// The brand has no such slot.
    #[error("{brand} has slots 1 to {total}, not {slot}")]
    NoSuchSlot {
        /// The slot that was asked for.
        slot: u32,
        /// Of which brand.
        brand: BrandKey,
        /// How many it has.
        total: u32,
    },
    /// A file has the slot.
    #[error("slot {slot} of {brand} belongs to {file} ({state}); release it first")]
    Taken {
        /// The slot that was asked for.
        slot: u32,
        /// Of which brand.
        brand: BrandKey,
        /// Whose it is.
        file: String,
        /// What became of it.
        state: State,
    },
}

impl Brand {
    /// Queues a file again, now. A refused one is looked at again.
    ///
    /// # Errors
    /// When there is no such file, or it is gone or being sent.
    pub fn retry(&mut self, id: UploadId, at: &Moment) -> Result<(), Refusal> {
        let file = self.file(id).ok_or(Refusal::Unknown(id))?;
        match file.state.name() {
            State::Gone => return Err(Refusal::Gone(id)),
            State::Uploading => return Err(Refusal::BeingSent(id)),
            State::Rejected => self.recheck_requested(id),
            State::Queued | State::Retrying | State::Failed | State::Uploaded => {
                match file.slot.or_else(|| self.free_for(file.wanted_slot)) {
                    Some(slot) => self.queue(id, slot, at),
                    None => self.wait_for_slot(id, at),
                }
            }
        }
        self.settle(at);
        Ok(())
    }

    /// Its slot went to another file: it waits like any other.
    fn wait_for_slot(&mut self, id: UploadId, at: &Moment) {
        let Some(file) = self.file_mut(id) else { return };
        let kind = file.wanted_slot.map_or(ErrorKind::LimitReached, |_| ErrorKind::SlotTaken);
        let failure = Failure::new(kind, "its slot went to another file; this one waits for a free one");
        file.state = UploadState::Rejected { failure, duplicate_of: None };
        file.updated_at = at.now;
    }

    /// Frees slots: an uploaded file keeps its row without a slot, a reservation ends.
    ///
    /// # Errors
    /// When a slot is free already or none of the brand's, or its file is still to be sent; then slots named before it
    /// may already be free in this copy, which the ledger discards.
    pub fn release(&mut self, slots: &[u32], at: &Moment) -> Result<(), Refusal> {
        for slot in slots {
            self.release_one(*slot, at)?;
        }
        self.settle(at);
        Ok(())
    }

    fn release_one(&mut self, slot: u32, at: &Moment) -> Result<(), Refusal> {
        if self.reserved.remove(&slot) {
            return Ok(());
        }
        let brand = self.key;
        let total = self.slots_total;
        let nobodys = match (1..=total).contains(&slot) {
            true => Refusal::FreeAlready { slot, brand },
            false => Refusal::NoSuchSlot { slot, brand, total },
        };
        let owner = self.owner(slot).ok_or(nobodys)?;
        let (id, state) = (owner.id, owner.state.name());
        if state.is_pending() {
            return Err(Refusal::StillToBeSent { slot, brand, file: file_name(&owner.path), state });
        }
        if let Some(file) = self.file_mut(id) {
            (file.slot, file.sent, file.object_sha256, file.updated_at) = (None, false, None, at.now);
        }
        Ok(())
    }

    /// Keeps slots free of our files. Reserving a reserved one changes nothing.
    ///
    /// # Errors
    /// When a slot belongs to a file or is none of the brand's.
    pub fn reserve(&mut self, slots: &[u32]) -> Result<(), Refusal> {
        let (brand, total) = (self.key, self.slots_total);
        for slot in slots {
            if !(1..=total).contains(slot) {
                return Err(Refusal::NoSuchSlot { slot: *slot, brand, total });
            }
            if let Some(owner) = self.owner(*slot) {
                let state = owner.state.name();
                return Err(Refusal::Taken { slot: *slot, brand, file: file_name(&owner.path), state });
            }
            self.reserved.insert(*slot);
        }
        Ok(())
    }

    /// Takes the files that are held as sent: nothing is transferred. Gives back how many.
    pub fn adopt(&mut self, at: &Moment) -> u64 {
        let held: Vec<_> = self.files().filter(|file| file.state.is_held()).map(|file| file.id).collect();
        for id in &held {
            let Some(file) = self.file_mut(*id) else { continue };
            file.object_sha256 = file.sha256().map(ToOwned::to_owned);
            (file.sent, file.uploaded_at, file.updated_at) = (true, Some(at.now), at.now);
            file.state = UploadState::Uploaded;
        }
        self.settle(at);
        held.len() as u64
    }
}
