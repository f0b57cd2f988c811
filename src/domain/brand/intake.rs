//! What intake tells a brand of: files that were found and looked at, renamed, deleted.

use std::path::{Path, PathBuf};

use super::{Brand, Moment, Upload, UploadId, UploadState};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::upload::{Picture, Stamp, State};

/// So many files of a brand that came to nothing and are no longer there are remembered: whoever may write in its folder
/// must not make the table, and the memory for the brand, grow for ever.
pub(super) const MAX_GONE: usize = 1000;

/// What inspection says of a file.
#[derive(Debug, Clone)]
pub enum Inspection {
    /// A sound picture, and the slot that its name asks for, if names decide.
    Picture(Picture, Option<u32>),
    /// Refused.
    Rejected(Failure),
}

/// A file that was looked at.
#[derive(Debug, Clone)]
pub struct InspectedFile {
    /// The whole path.
    pub path: PathBuf,
    /// The descriptor's `fstat` when the bytes were read.
    pub stamp: Stamp,
    /// When anything about it changed last, nanoseconds since 1970.
    pub ctime_ns: i64,
    /// What it is.
    pub inspection: Inspection,
}

/// Rows whose file is no longer where it was.
#[derive(Debug, Clone, Copy, Default)]
pub struct Absent<'a> {
    /// All of them. A new file with the content of one is that one under a new name.
    pub missing: &'a [UploadId],
    /// Those of them whose folder is watched no longer: a new file with the name of one takes its row over.
    pub relocated: &'a [UploadId],
}

/// What became of a file that was looked at.
#[derive(Debug, Clone)]
pub struct RecordResult {
    /// Its number.
    pub id: UploadId,
    /// Where the file is.
    pub path: PathBuf,
    /// Its state now.
    pub state: State,
    /// Its slot now.
    pub slot: Option<u32>,
    /// Why it is refused.
    pub rejected: Option<Failure>,
    /// It was not refused for that reason before.
    pub news: bool,
}

impl Brand {
    /// A file was looked at: it is renamed, touched, refused, a duplicate, or queued with a slot.
    pub fn take_in(&mut self, file: &InspectedFile, absent: Absent<'_>, at: &Moment) -> RecordResult {
        let row = self.row_of(file, absent, at);
        let before = row.and_then(|id| self.file(id)).and_then(rejected_for);
        let id = self.record(file, row, absent, at);
        self.settle(at);
        let now = &self.files[&id];
        let rejected = match &now.state {
            UploadState::Rejected { failure, .. } => Some(failure.clone()),
            _ => None,
        };
        let news = rejected.as_ref().is_none_or(|failure| before != Some(failure.kind));
        RecordResult { id, path: file.path.clone(), state: now.state.name(), slot: now.slot, rejected, news }
    }

    /// A file has another name: same inode, size and time, and the ctime that the renaming left. False when its row
    /// has ended meanwhile, so that the file is a new one.
    pub fn renamed(&mut self, id: UploadId, path: &Path, ctime_ns: i64, at: &Moment) -> bool {
        let renamed = self.set_path(id, path, at);
        if let Some(file) = self.file_mut(id).filter(|_| renamed) {
            file.ctime_ns = Some(ctime_ns);
        }
        self.settle(at);
        renamed
    }

    /// A file's folder has another name. A row that has its path by now makes room if it came to nothing; otherwise
    /// nothing changes, and the answer is false.
    pub fn moved(&mut self, id: UploadId, path: &Path, at: &Moment) -> bool {
        if self.file(id).is_none_or(|file| file.state == UploadState::Gone) {
            return false;
        }
        match self.file_at(at.inbox.id, path).map(|row| (row.id, row.came_to_nothing())) {
            Some((other, _)) if other == id => return true,
            Some((other, true)) => drop(self.files.remove(&other)),
            Some((_, false)) => return false,
            None => {}
        }
        let moved = self.set_path(id, path, at);
        self.settle(at);
        moved
    }

    /// Files are no longer there. Those of which nothing can be on OSS give their slot back; one whose bytes surely
    /// are on OSS is `uploaded`. Gives back how many became `gone`. Of those without a slot only the last are remembered.
    pub fn vanished(&mut self, ids: &[UploadId], at: &Moment) -> u64 {
        let gone = ids.iter().filter(|id| self.vanish(**id, at)).count();
        self.settle(at);
        self.forget_gone();
        gone as u64
    }

    /// After `settle`, when no other file is recorded as a copy of one of them.
    fn forget_gone(&mut self) {
        let is_nothing = |file: &&Upload| file.state == UploadState::Gone && file.slot.is_none();
        let gone: Vec<_> = self.files().filter(is_nothing).map(|file| file.id).collect();
        for id in &gone[..gone.len().saturating_sub(MAX_GONE)] {
            self.files.remove(id);
        }
    }

    /// Intake is to look at the file again, once nobody works on it.
    pub fn recheck_requested(&mut self, id: UploadId) {
        self.file_mut(id).into_iter().for_each(Upload::request_recheck);
    }

    /// Intake has looked at the file as was requested by then. What was requested since stays open.
    pub fn recheck_done(&mut self, id: UploadId, requested: i64) {
        if let Some(file) = self.file_mut(id) {
            let requested = requested.min(file.recheck.requested);
            file.recheck.done = file.recheck.done.max(requested);
        }
    }

    /// The row of a path. One of a file of this name in a folder that is watched no longer becomes this file's.
    fn row_of(&mut self, file: &InspectedFile, absent: Absent<'_>, at: &Moment) -> Option<UploadId> {
        if let Some(row) = self.file_at(at.inbox.id, &file.path) {
            return Some(row.id);
        }
        let same_name = |id: &&UploadId| {
            let row = self.file(**id).filter(|_| absent.missing.contains(id));
            row.is_some_and(|row| {
                row.path.file_name() == file.path.file_name() && row.state != UploadState::Gone
            })
        };
        let row = *absent.relocated.iter().find(same_name)?;
        self.set_path(row, &file.path, at).then_some(row)
    }

    fn record(
        &mut self,
        file: &InspectedFile,
        row: Option<UploadId>,
        absent: Absent<'_>,
        at: &Moment,
    ) -> UploadId {
        let before = row.and_then(|id| self.file(id));
        match (&file.inspection, before) {
            // what changed while it is being sent is looked at when that has ended
            (_, Some(row)) if row.state.name() == State::Uploading => {
                let id = row.id;
                self.recheck_requested(id);
                id
            }
            (Inspection::Rejected(failure), _) => self.reject(file, row, failure, None, at),
            (Inspection::Picture(picture, _), Some(row)) if row.holds(picture) => {
                let id = row.id;
                self.touch(id, file, at);
                id
            }
            (Inspection::Picture(picture, wanted), Some(row)) if row.was_sent_before(picture) => {
                let id = row.id;
                self.restore(id, file, picture, *wanted, at);
                id
            }
            (Inspection::Picture(picture, wanted), _) => match self.moved_from(picture, row, absent) {
                Some(moved) => self.take_over(moved, row, file, at),
                None => self.place(file, row, picture, *wanted, absent, at),
            },
        }
    }

    /// The row with this content whose file is no longer where it was: the file was renamed. A name that has a row of
    /// its own keeps that, unless it came to nothing (refused, failed or gone, without a slot).
    fn moved_from(&self, picture: &Picture, row: Option<UploadId>, absent: Absent<'_>) -> Option<UploadId> {
        if !row.and_then(|id| self.file(id)).is_none_or(Upload::came_to_nothing) {
            return None;
        }
        let is_it = |file: &&Upload| {
            file.sha256() == Some(&picture.digests.sha256)
                && file.slot.is_some()
                && !matches!(file.state.name(), State::Rejected | State::Gone)
                && absent.missing.contains(&file.id)
        };
        self.files().find(is_it).map(|file| file.id)
    }

    /// The same picture under a new name keeps row and slot; the row that the name had makes room.
    fn take_over(
        &mut self,
        moved: UploadId,
        row: Option<UploadId>,
        file: &InspectedFile,
        at: &Moment,
    ) -> UploadId {
        if let Some(row) = row {
            self.files.remove(&row);
        }
        self.set_path(moved, &file.path, at);
        self.touch(moved, file, at);
        moved
    }

    /// Same content, other time or inode: nothing is sent again.
    fn touch(&mut self, id: UploadId, file: &InspectedFile, at: &Moment) {
        let Some(row) = self.file_mut(id) else { return };
        (row.stamp, row.ctime_ns, row.updated_at) = (file.stamp, Some(file.ctime_ns), at.now);
        row.make_due_if_changed(at);
    }

    fn set_path(&mut self, id: UploadId, path: &Path, at: &Moment) -> bool {
        let Some(row) = self.file_mut(id).filter(|row| row.state != UploadState::Gone) else { return false };
        (row.path, row.updated_at) = (path.to_owned(), at.now);
        row.make_due_if_changed(at);
        true
    }

    /// A file that was refused for a while is again what is on OSS in its slot: nothing is sent.
    fn restore(
        &mut self,
        id: UploadId,
        file: &InspectedFile,
        picture: &Picture,
        wanted: Option<u32>,
        at: &Moment,
    ) {
        let Some(row) = self.file_mut(id) else { return };
        row.set_content(file, Some((picture, wanted)), at);
        row.wanted_since = Some(at.now);
        row.state = UploadState::Uploaded;
    }

    fn vanish(&mut self, id: UploadId, at: &Moment) -> bool {
        let Some(file) = self.file_mut(id) else { return false };
        if matches!(file.state.name(), State::Uploading | State::Uploaded | State::Gone) {
            return false;
        }
        let is_on_oss =
            file.slot.is_some() && file.sha256().is_some() && file.object_sha256.as_deref() == file.sha256();
        file.recheck.done = file.recheck.requested;
        file.updated_at = at.now;
        file.slot = file.slot_to_keep();
        file.state = if is_on_oss { UploadState::Uploaded } else { UploadState::Gone };
        !is_on_oss
    }
}

impl Upload {
    /// Was it refused, or is it gone, without a slot?
    fn came_to_nothing(&self) -> bool {
        matches!(self.state.name(), State::Rejected | State::Failed | State::Gone) && self.slot.is_none()
    }

    /// Does the row stand for this content already, so that nothing is to be done?
    fn holds(&self, picture: &Picture) -> bool {
        let active =
            matches!(self.state.name(), State::Queued | State::Retrying | State::Uploaded | State::Failed);
        active && self.sha256() == Some(&picture.digests.sha256)
    }

    /// Was the row refused, and is this content what was sent before that, and is on OSS?
    fn was_sent_before(&self, picture: &Picture) -> bool {
        let refused = self.state.name() == State::Rejected && self.slot.is_some();
        refused && self.object_sha256.as_deref() == Some(&picture.digests.sha256)
    }

    /// A file that changed while it was sent need not wait for its due time once it is still.
    fn make_due_if_changed(&mut self, at: &Moment) {
        if let UploadState::Retrying { due, failure, .. } = &mut self.state
            && failure.kind == ErrorKind::FileChanged
        {
            *due = at.now;
        }
    }
}

/// Why a file was refused before.
fn rejected_for(row: &Upload) -> Option<ErrorKind> {
    row.error_kind().filter(|_| row.state.name() == State::Rejected)
}
