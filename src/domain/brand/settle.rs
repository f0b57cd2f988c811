//! What follows from every change: nobody waits beside a free slot, and no copy outlives its original unnoticed.

use super::slots::choose;
use super::{Brand, Moment, Upload, UploadId, UploadState};

impl Brand {
    /// Each transition that may free a slot, or end a file's standing for its content, ends with this.
    pub(super) fn settle(&mut self, at: &Moment) {
        self.recheck_orphaned_copies();
        self.fill_free_slots(at);
    }

    /// Files that were refused as copies of one that no longer stands for their content are to be looked at again:
    /// once, whatever else is to be looked at.
    fn recheck_orphaned_copies(&mut self) {
        let orphaned = self.files().filter(|file| self.is_orphaned_copy(file));
        let ids: Vec<_> = orphaned.map(|file| file.id).collect();
        for file in ids {
            let Some(file) = self.file_mut(file) else { continue };
            file.request_recheck();
            if let UploadState::Rejected { duplicate_of, .. } = &mut file.state {
                *duplicate_of = None;
            }
        }
    }

    /// Is it recorded as a copy of a file that does not stand for its content?
    pub(super) fn is_orphaned_copy(&self, file: &Upload) -> bool {
        let UploadState::Rejected { duplicate_of: Some(original), .. } = file.state else { return false };
        let original = self.file(original);
        !original.is_some_and(|original| original.stands() && original.sha256() == file.sha256())
    }

    /// Waiting files take free slots, oldest first, until one of the two runs out.
    fn fill_free_slots(&mut self, at: &Moment) {
        while let Some((id, slot)) = self.next_waiting() {
            self.queue(id, slot, at);
        }
    }

    /// The oldest file that waits for a slot that is free, and that slot.
    pub(super) fn next_waiting(&self) -> Option<(UploadId, u32)> {
        let free = self.free_slots();
        let waiting = self.files().filter(|file| !free.is_empty() && file.waits_for_slot());
        let fitting = waiting.filter_map(|file| Some((file, choose(&free, file.wanted_slot)?)));
        let first = fitting.min_by_key(|(file, _)| (file.detected_at, file.id));
        first.map(|(file, slot)| (file.id, slot))
    }
}
