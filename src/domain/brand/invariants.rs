//! What is true of every brand after every step.

use std::collections::BTreeSet;

use super::{Brand, Upload, UploadState};
use crate::domain::upload::State;

impl Brand {
    /// The invariants that do not hold; none, ever.
    pub fn check(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let (mut slots, mut paths) = (self.reserved.clone(), BTreeSet::new());
        for file in self.files() {
            if file.slot.is_some_and(|slot| slot == 0 || !slots.insert(slot)) {
                broken.push(format!("slot {:?} of {} is another's, or reserved", file.slot, file.id));
            }
            if !paths.insert((file.inbox.id, &file.path)) {
                broken.push(format!("two rows have {}", file.path.display()));
            }
            broken.extend(file.broken().map(|what| format!("{what}: {file:?}")));
            if self.is_orphaned_copy(file) {
                broken.push(format!("{} is a copy of nothing", file.id));
            }
        }
        broken.extend(self.next_waiting().map(|(id, slot)| format!("{id} waits beside free slot {slot}")));
        broken
    }
}

impl Upload {
    fn broken(&self) -> impl Iterator<Item = &'static str> {
        let state = self.state.name();
        let rules = [
            (state.is_pending() && self.slot.is_none(), "work without a slot"),
            (state.is_pending() && self.picture.is_none(), "work without a picture"),
            (state == State::Uploaded && self.uploaded_at.is_none(), "uploaded, and nobody knows when"),
            (state == State::Uploaded && self.picture.is_none(), "uploaded, and nobody knows what"),
            (self.recheck.done > self.recheck.requested, "more rechecks done than requested"),
            (self.object_sha256.is_some() && self.slot.is_none(), "an object without a slot"),
            (self.is_unsent_with_slot(), "a slot that is not needed"),
        ];
        rules.into_iter().filter_map(|(broken, what)| broken.then_some(what))
    }

    /// Only work, and files of which something may be on OSS, have slots.
    fn is_unsent_with_slot(&self) -> bool {
        let ended = matches!(
            self.state,
            UploadState::Failed { .. } | UploadState::Rejected { .. } | UploadState::Gone
        );
        ended && self.slot.is_some() && !self.sent
    }
}
