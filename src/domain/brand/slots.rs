//! Slots: which are free, and in which round of the queue a file has its turn.

use std::collections::BTreeSet;

use super::{Brand, Inbox, Moment, UploadId, UploadState};

/// The wanted slot if it is free, or else the lowest free one for a file that wants any.
pub(super) fn choose(free: &BTreeSet<u32>, wanted: Option<u32>) -> Option<u32> {
    match wanted {
        Some(wanted) => free.get(&wanted).copied(),
        None => free.first().copied(),
    }
}

impl Brand {
    /// The slots that nobody has.
    pub(super) fn free_slots(&self) -> BTreeSet<u32> {
        let taken: BTreeSet<_> = self.files().filter_map(|file| file.slot).collect();
        let is_free = |slot: &u32| !self.reserved.contains(slot) && !taken.contains(slot);
        (1..=self.slots_total).filter(is_free).collect()
    }

    /// The slot for a file that wants this one, or any.
    pub(super) fn free_for(&self, wanted: Option<u32>) -> Option<u32> {
        choose(&self.free_slots(), wanted)
    }

    /// The round of the queue in which another file of this brand has its turn: the one that is on, or the one after
    /// the brand's last. So a brand with one file does not wait for another's hundred.
    ///
    /// Each inbox has a queue, and rounds, of its own: of another one's it is only known which files of this brand wait.
    pub(super) fn next_turn(&self, inbox: &Inbox, at: &Moment) -> i64 {
        let files = self.files().filter(|file| file.inbox == *inbox);
        let last = files.filter_map(|file| file.state.turn()).max();
        let round = if at.inbox == *inbox { at.round } else { 0 };
        round.max(last.map_or(0, |last| last + 1))
    }

    /// Queues a file that nobody works on, in this slot, as if nothing had been tried.
    pub(super) fn queue(&mut self, id: UploadId, slot: u32, at: &Moment) {
        let Some(inbox) = self.file(id).map(|file| file.inbox.clone()) else { return };
        let turn = self.next_turn(&inbox, at);
        let Some(file) = self.file_mut(id) else { return };
        file.state = UploadState::Queued { due: at.now, turn, held: false };
        file.set_slot(slot);
        file.attempts = 0;
        file.wanted_since = Some(at.now);
        file.updated_at = at.now;
    }
}
