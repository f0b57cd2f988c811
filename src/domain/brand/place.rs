//! The place of a picture in its brand: a slot, or a refusal.

use std::sync::Arc;

use super::{Absent, Brand, InspectedFile, Moment, Recheck, Upload, UploadId, UploadState};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::{file_name, visible};
use crate::domain::upload::Picture;

impl Brand {
    /// A sound picture gets its slot, or is refused for want of one.
    pub(super) fn place(
        &mut self,
        file: &InspectedFile,
        row: Option<UploadId>,
        picture: &Picture,
        wanted: Option<u32>,
        absent: Absent<'_>,
        at: &Moment,
    ) -> UploadId {
        let content = Some((picture, wanted));
        if let Some(original) = self.original(picture, row, absent) {
            let (name, inbox) = (file_name(&original.path), visible(&original.inbox.name));
            let message = match original.inbox == at.inbox {
                true => format!("the same picture is there already as {name}"),
                false => format!("the same picture is there already as {name} in the inbox {inbox}"),
            };
            let failure = Failure::new(ErrorKind::Duplicate, message);
            let original = original.id;
            let id = self.reject(file, row, &failure, content, at);
            self.set_duplicate_of(id, original);
            return id;
        }
        let own = row.and_then(|id| self.file(id)).and_then(|row| row.slot);
        match own.or_else(|| self.free_for(wanted)) {
            Some(slot) => self.queue_new(file, row, (picture, wanted), slot, at),
            None => self.reject(file, row, &self.no_slot(wanted), content, at),
        }
    }

    /// Another file of the brand that stands for this content, and is where it was.
    fn original(&self, picture: &Picture, row: Option<UploadId>, absent: Absent<'_>) -> Option<&Upload> {
        self.files().find(|file| {
            Some(file.id) != row
                && file.sha256() == Some(&picture.digests.sha256)
                && file.stands()
                && !absent.missing.contains(&file.id)
        })
    }

    fn set_duplicate_of(&mut self, id: UploadId, original: UploadId) {
        if let Some(UploadState::Rejected { duplicate_of, .. }) =
            self.file_mut(id).map(|file| &mut file.state)
        {
            *duplicate_of = Some(original);
        }
    }

    fn no_slot(&self, wanted: Option<u32>) -> Failure {
        let total = self.slots_total;
        match wanted {
            None => Failure::new(
                ErrorKind::LimitReached,
                format!("all {total} slots of this brand are taken; this file waits for a free one"),
            ),
            Some(slot) if slot == 0 || slot > total => Failure::new(
                ErrorKind::LimitReached,
                format!("slot {slot} is beyond the {total} of this brand"),
            ),
            Some(slot) => Failure::new(
                ErrorKind::SlotTaken,
                format!("slot {slot} belongs to another file or is reserved"),
            ),
        }
    }

    fn queue_new(
        &mut self,
        file: &InspectedFile,
        row: Option<UploadId>,
        content: (&Picture, Option<u32>),
        slot: u32,
        at: &Moment,
    ) -> UploadId {
        let turn = self.next_turn(&at.inbox, at);
        let held = is_from_before(file, at);
        let row = self.row_or_new(file, row, at);
        row.set_content(file, Some(content), at);
        row.state = UploadState::Queued { due: at.now, turn, held };
        row.wanted_since = Some(at.now);
        row.set_slot(slot);
        row.id
    }

    /// Refuses a file. It keeps its slot only if something of it may be on OSS.
    pub(super) fn reject(
        &mut self,
        file: &InspectedFile,
        row: Option<UploadId>,
        failure: &Failure,
        content: Option<(&Picture, Option<u32>)>,
        at: &Moment,
    ) -> UploadId {
        let row = self.row_or_new(file, row, at);
        row.set_content(file, content, at);
        row.wanted_since = None;
        row.slot = row.slot_to_keep();
        row.state = UploadState::Rejected { failure: failure.clone(), duplicate_of: None };
        row.id
    }

    /// The row, or a new one that the caller gives its state.
    fn row_or_new(&mut self, file: &InspectedFile, row: Option<UploadId>, at: &Moment) -> &mut Upload {
        let id = row.unwrap_or_else(|| {
            let id = self.next_id;
            self.next_id = UploadId(id.0 + 1);
            id
        });
        let entry = self.files.entry(id).or_insert_with(|| Arc::new(new_upload(id, file, at)));
        Arc::make_mut(entry)
    }
}

impl Upload {
    /// Another content, or none that is known: nothing was tried with it yet.
    pub(super) fn set_content(
        &mut self,
        file: &InspectedFile,
        content: Option<(&Picture, Option<u32>)>,
        at: &Moment,
    ) {
        let sha256 = content.map(|(picture, _)| picture.digests.sha256.as_str());
        let before = self.sha256().or(self.object_sha256.as_deref());
        if self.uploaded_at.is_some() && sha256.is_some() && before != sha256 {
            self.revision += 1;
        }
        self.picture = content.map(|(picture, _)| picture.clone());
        self.wanted_slot = content.and_then(|(_, wanted)| wanted);
        (self.stamp, self.ctime_ns, self.updated_at) = (file.stamp, Some(file.ctime_ns), at.now);
        self.attempts = 0;
    }
}

fn new_upload(id: UploadId, file: &InspectedFile, at: &Moment) -> Upload {
    Upload {
        id,
        inbox: at.inbox.clone(),
        path: file.path.clone(),
        state: UploadState::Gone,
        slot: None,
        wanted_slot: None,
        stamp: file.stamp,
        ctime_ns: Some(file.ctime_ns),
        picture: None,
        recheck: Recheck::default(),
        revision: 1,
        attempts: 0,
        tries: 0,
        sent: false,
        object_sha256: None,
        object_url: None,
        etag: None,
        request_id: None,
        detected_at: at.now,
        wanted_since: None,
        uploaded_at: None,
        updated_at: at.now,
    }
}

/// Was the file there before the database was rebuilt? Its ctime tells when it came here.
fn is_from_before(file: &InspectedFile, at: &Moment) -> bool {
    let newest = i128::from(file.stamp.mtime_ns.max(file.ctime_ns));
    at.hold_before.is_some_and(|before| newest < before.as_nanosecond())
}
