//! What a brand's rules have changed, to be written back.

use std::sync::Arc;

use super::{AttemptRecord, Brand, Upload, UploadId};
use crate::domain::failure::ErrorKind;
use crate::domain::upload::State;

/// A file was refused, which is worth an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The row of the file.
    pub upload: UploadId,
    /// `failed` or `rejected`.
    pub state: State,
}

/// The difference between a brand as it was loaded and as it is now.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    /// Another number of slots.
    pub slots_total: Option<u32>,
    /// Slots that are kept free of our files from now on.
    pub reserved: Vec<u32>,
    /// Slots that are so no longer.
    pub unreserved: Vec<u32>,
    /// Rows that are no longer.
    pub removed: Vec<UploadId>,
    /// Files that are new, or changed, with what they were before.
    pub saved: Vec<(Option<&'a Upload>, &'a Upload)>,
    /// Attempts that ended.
    pub attempts: &'a [AttemptRecord],
    /// The last file that waited was uploaded.
    pub completed: bool,
}

impl Brand {
    /// What has changed since `before`, which this brand was made from.
    pub fn changes_since<'a>(&'a self, before: &'a Brand) -> Changes<'a> {
        let removed = before.files.keys().filter(|id| !self.files.contains_key(id));
        let saved = self.files.iter().filter_map(|(id, file)| {
            let old = before.files.get(id);
            let unchanged = old.is_some_and(|old| Arc::ptr_eq(old, file) || old == file);
            (!unchanged).then_some((old.map(|old| &**old), &**file))
        });
        let mut changes = Changes {
            slots_total: Some(self.slots_total).filter(|total| *total != before.slots_total),
            reserved: self.reserved.difference(&before.reserved).copied().collect(),
            unreserved: before.reserved.difference(&self.reserved).copied().collect(),
            removed: removed.copied().collect(),
            saved: saved.collect(),
            attempts: &self.attempts,
            completed: false,
        };
        // files are counted only when one of them arrived
        changes.completed = changes.saved.iter().any(is_arrival) && !self.files().any(is_pending);
        changes
    }
}

fn is_pending(file: &Upload) -> bool {
    file.state.name().is_pending()
}

/// Was the file being sent, and is it uploaded now?
fn is_arrival((before, now): &(Option<&Upload>, &Upload)) -> bool {
    let was_sent = before.is_some_and(|before| before.state.name() == State::Uploading);
    was_sent && now.state.name() == State::Uploaded
}

impl Changes<'_> {
    /// Is there nothing to write?
    pub fn is_empty(&self) -> bool {
        let reserved = self.reserved.is_empty() && self.unreserved.is_empty();
        let files = self.removed.is_empty() && self.saved.is_empty() && self.attempts.is_empty();
        self.slots_total.is_none() && reserved && files
    }

    /// Files that are refused now and were not so before, or for another reason. A copy of a picture that is there
    /// is none of them.
    pub fn refused(&self) -> impl Iterator<Item = Refused> {
        let refused = |file: &Upload| {
            let state = file.state.name();
            let kind = file.error_kind().filter(|kind| *kind != ErrorKind::Duplicate)?;
            matches!(state, State::Failed | State::Rejected).then_some((state, kind))
        };
        self.saved.iter().filter_map(move |(before, file)| {
            let now = refused(file)?;
            let same = before
                .is_some_and(|before| before.state.name() == now.0 && before.error_kind() == Some(now.1));
            (!same).then_some(Refused { upload: file.id, state: now.0 })
        })
    }

    /// Is intake to look at a file again?
    pub fn requests_recheck(&self) -> bool {
        self.saved.iter().any(|(_, file)| file.recheck.is_open())
    }

    /// Does a file no longer wait for an operator's word?
    pub fn ends_a_hold(&self) -> bool {
        let ended = |(before, file): &(Option<&Upload>, &Upload)| {
            before.is_some_and(|before| before.state.is_held()) && !file.state.is_held()
        };
        self.saved.iter().any(ended)
    }
}
