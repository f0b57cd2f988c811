//! What is true of every brand after every step.

use std::collections::BTreeSet;

use super::{Brand, Upload, UploadId, UploadState};
use crate::domain::upload::State;

/// What must not be of a brand, and the files of which it is.
type OfBrand = (&'static str, fn(&Brand) -> Vec<UploadId>);

/// What must not be of a file.
type OfFile = (&'static str, fn(&Upload) -> bool);

pub(super) const OF_BRAND: &[OfBrand] = &[
    ("a slot that is another's, or reserved", with_doubled_slot),
    ("a path that is another's", with_doubled_path),
    ("a copy of nothing", orphaned_copies),
    ("a wait beside a free slot", waiting_beside_free_slot),
];

pub(super) const OF_FILE: &[OfFile] = &[
    ("work without a slot", |file| file.state.name().is_pending() && file.slot.is_none()),
    ("work without a picture", |file| file.state.name().is_pending() && file.picture.is_none()),
    ("uploaded, and nobody knows when", |file| is_uploaded(file) && file.uploaded_at.is_none()),
    ("uploaded, and nobody knows what", |file| is_uploaded(file) && file.picture.is_none()),
    ("more rechecks done than requested", |file| file.recheck.done > file.recheck.requested),
    ("an object without a slot", |file| file.object_sha256.is_some() && file.slot.is_none()),
    ("a slot that is not needed", is_unsent_with_slot),
];

impl Brand {
    /// The invariants that do not hold, each with the file of which it does not; none, ever.
    pub fn check(&self) -> Vec<String> {
        let of_brand = OF_BRAND.iter().flat_map(|(what, find)| {
            find(self).into_iter().map(move |id| format!("{what}: {:?}", self.file(id)))
        });
        let of_files = self.files().flat_map(|file| {
            let broken = OF_FILE.iter().filter(|(_, is_broken)| is_broken(file));
            broken.map(move |(what, _)| format!("{what}: {file:?}"))
        });
        of_brand.chain(of_files).collect()
    }
}

fn ids<'a>(files: impl Iterator<Item = &'a Upload>) -> Vec<UploadId> {
    files.map(|file| file.id).collect()
}

fn with_doubled_slot(brand: &Brand) -> Vec<UploadId> {
    let mut slots = brand.reserved.clone();
    ids(brand.files().filter(|file| file.slot.is_some_and(|slot| slot == 0 || !slots.insert(slot))))
}

fn with_doubled_path(brand: &Brand) -> Vec<UploadId> {
    let mut paths = BTreeSet::new();
    ids(brand.files().filter(|file| !paths.insert((file.inbox.id, &file.path))))
}

fn orphaned_copies(brand: &Brand) -> Vec<UploadId> {
    ids(brand.files().filter(|file| brand.is_orphaned_copy(file)))
}

fn waiting_beside_free_slot(brand: &Brand) -> Vec<UploadId> {
    brand.next_waiting().into_iter().map(|(id, _)| id).collect()
}

fn is_uploaded(file: &Upload) -> bool {
    file.state.name() == State::Uploaded
}

/// Only work, and files of which something may be on OSS, have slots.
fn is_unsent_with_slot(file: &Upload) -> bool {
    let ended = match file.state {
        UploadState::Failed { .. } | UploadState::Rejected { .. } | UploadState::Gone => true,
        UploadState::Queued { .. }
        | UploadState::Uploading { .. }
        | UploadState::Retrying { .. }
        | UploadState::Uploaded => false,
    };
    ended && file.slot.is_some() && !file.sent
}
