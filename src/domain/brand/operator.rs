//! What operators ask for: try again, free a slot, keep one free, take as sent.

use std::path::PathBuf;

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
    #[error(
        "slot {slot} of {brand} belongs to {file}, which is {state}; to stop it, delete the file; to give it another slot, `brandpost reserve {brand} {slot}`"
    )]
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

/// A file that was to be sent to a slot that is reserved now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Displaced {
    /// Its path.
    pub path: PathBuf,
    /// The slot that it has instead; `None`: it waits for a free one.
    pub slot: Option<u32>,
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
                    None => self.wait_for_slot(
                        id,
                        "its slot went to another file; this one waits for a free one",
                        at,
                    ),
                }
            }
        }
        self.settle(at);
        Ok(())
    }

    /// It has no slot any more, and waits for one like any other.
    fn wait_for_slot(&mut self, id: UploadId, why: &str, at: &Moment) {
        let Some(file) = self.file_mut(id) else { return };
        let kind = file.wanted_slot.map_or(ErrorKind::LimitReached, |_| ErrorKind::SlotTaken);
        file.state = UploadState::Rejected { failure: Failure::new(kind, why), duplicate_of: None };
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

    /// Keeps slots free of our files. Files that are still to be sent there get other ones, or wait. Reserving a reserved
    /// one changes nothing. Gives back which files had to go.
    ///
    /// # Errors
    /// When a slot is none of the brand's, its file is being sent, or something of it may be there already; then slots named
    /// before it may already be reserved in this copy, which the ledger discards.
    pub fn reserve(&mut self, slots: &[u32], at: &Moment) -> Result<Vec<Displaced>, Refusal> {
        let (brand, total) = (self.key, self.slots_total);
        let mut to_displace = Vec::new();
        for slot in slots {
            if !(1..=total).contains(slot) {
                return Err(Refusal::NoSuchSlot { slot: *slot, brand, total });
            }
            if let Some(owner) = self.owner(*slot) {
                match owner.state.name() {
                    State::Queued | State::Retrying => to_displace.push(owner.id),
                    State::Uploading => return Err(Refusal::BeingSent(owner.id)),
                    state @ (State::Uploaded | State::Failed | State::Rejected | State::Gone) => {
                        let file = file_name(&owner.path);
                        return Err(Refusal::Taken { slot: *slot, brand, file, state });
                    }
                }
            }
            self.reserved.insert(*slot);
        }
        to_displace.sort_by_key(|id| self.file(*id).map(|file| (file.detected_at, file.id)));
        to_displace.dedup();
        Ok(to_displace.into_iter().filter_map(|id| self.displace(id, at)).collect())
    }

    /// The slot of a file that waits to be sent was reserved.
    fn displace(&mut self, id: UploadId, at: &Moment) -> Option<Displaced> {
        let slot = self.free_for(self.file(id)?.wanted_slot);
        let file = self.file_mut(id)?;
        (file.slot, file.sent, file.object_sha256, file.updated_at) = (None, false, None, at.now);
        let path = file.path.clone();
        match slot {
            Some(slot) => file.set_slot(slot),
            None => self.wait_for_slot(id, "its slot was reserved; this one waits for a free one", at),
        }
        Some(Displaced { path, slot })
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
