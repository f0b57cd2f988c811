//! Files that were looked at find their place in the table: renamed, touched, refused, duplicate, or queued
//! with a slot.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Ledger;
use super::Tx;
use super::brands::BrandRow;
use super::damage;
use super::error::Result;
use super::slots::{self, Slots};
use super::uploads::{UploadSnapshot, readable, set_path, state};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::visible;
use crate::domain::upload::{Picture, Stamp, State};

/// What inspection says of a file.
#[derive(Debug, Clone)]
pub enum Inspection {
    /// A sound picture, and the slot that its name asks for, if names decide.
    Picture(Picture, Option<u32>),
    /// Refused.
    Refused(Failure),
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
    pub verdict: Inspection,
}

/// What `record` made of a file.
#[derive(Debug, Clone)]
pub struct RecordResult {
    /// The row.
    pub id: i64,
    /// The file.
    pub path: PathBuf,
    /// Its state now.
    pub state: State,
    /// Its slot now.
    pub slot: Option<u32>,
    /// Why it is refused.
    pub refused: Option<Failure>,
    /// It was not refused for that reason before.
    pub news: bool,
}

impl Ledger {
    /// Records files that were looked at, in the order given, in one transaction: slots are given here.
    /// `missing` are rows whose file is no longer where it was; a new file with the same content is one of
    /// them under a new name. `relocated` are rows whose folder is watched no longer: a new file with the name of one
    /// takes its row over, whatever its state.
    ///
    /// # Errors
    /// When the database fails; then nothing is recorded.
    pub async fn record(
        &self,
        brand: BrandRow,
        found: &[InspectedFile],
        missing: &mut Vec<i64>,
        relocated: &[UploadSnapshot],
    ) -> Result<Vec<RecordResult>> {
        let now = self.now_text();
        let mut tx = self.begin().await?;
        let rebuilt = damage::rebuilt_at(&mut tx).await?.map(Timestamp::as_nanosecond);
        let mut recorded = Vec::with_capacity(found.len());
        let mut left = missing.clone();
        for file in found {
            let one = Recorder { brand, file, missing: &left, relocated, now: &now, rebuilt }
                .record(&mut tx)
                .await?;
            // whose name it has taken over is no longer missing
            left.retain(|id| *id != one.id);
            recorded.push(one);
        }
        self.commit(tx).await?;
        *missing = left;
        Ok(recorded)
    }
}

/// One file on its way into the table.
struct Recorder<'a> {
    brand: BrandRow,
    file: &'a InspectedFile,
    missing: &'a [i64],
    relocated: &'a [UploadSnapshot],
    now: &'a str,
    /// Files from before are held, nanoseconds since 1970.
    rebuilt: Option<i128>,
}

/// The row that a path has already.
struct Existing {
    id: i64,
    state: State,
    slot: Option<u32>,
    sha256: Option<String>,
    /// What is on OSS in its slot.
    object_sha256: Option<String>,
    /// Why it was refused, or failed.
    error_kind: Option<String>,
}

/// Where a sound picture goes.
enum Placement {
    Slot(u32),
    Refused(Failure, Option<i64>),
}

impl Recorder<'_> {
    async fn record(&self, tx: &mut Tx) -> Result<RecordResult> {
        let existing = self.existing(tx).await?;
        match (&self.file.verdict, existing) {
            (_, Some(row)) if row.state == State::Uploading => self.look_later(tx, &row).await,
            (Inspection::Refused(failure), row) => self.refuse(tx, failure, row.as_ref()).await,
            (Inspection::Picture(picture, _), Some(row)) if row.holds(picture) => self.touch(tx, &row).await,
            (Inspection::Picture(picture, wish), Some(row)) if row.sent_before(picture) => {
                self.restore(tx, picture, *wish, &row).await
            }
            (Inspection::Picture(picture, wish), Some(row)) => {
                match self.moved_onto(tx, picture, &row).await? {
                    Some(moved) => self.take_over(tx, &moved).await,
                    None => self.place(tx, picture, *wish, Some(&row)).await,
                }
            }
            (Inspection::Picture(picture, wish), None) => match self.moved_from(tx, picture).await? {
                Some(row) => self.take_over(tx, &row).await,
                None => self.place(tx, picture, *wish, None).await,
            },
        }
    }

    async fn existing(&self, tx: &mut Tx) -> Result<Option<Existing>> {
        let row = sqlx::query(
            "SELECT id, state, slot, sha256, object_sha256, error_kind FROM upload WHERE brand_id = ?1 AND path_bytes = ?2",
        )
        .bind(self.brand.id)
        .bind(self.file.path.as_os_str().as_bytes())
        .fetch_optional(&mut **tx)
        .await?;
        match row.as_ref() {
            Some(row) => existing(row).map(Some),
            None => self.relocate(tx).await,
        }
    }

    /// The row of a file of this name in a folder that is watched no longer becomes this file's.
    async fn relocate(&self, tx: &mut Tx) -> Result<Option<Existing>> {
        let same = |row: &&UploadSnapshot| row.path.file_name() == self.file.path.file_name();
        for old in self.relocated.iter().filter(same).filter(|row| self.missing.contains(&row.id)) {
            if set_path(tx, old.id, &self.file.path, self.now).await? {
                let row = sqlx::query(
                    "SELECT id, state, slot, sha256, object_sha256, error_kind FROM upload WHERE id = ?1",
                );
                return existing(&row.bind(old.id).fetch_one(&mut **tx).await?).map(Some);
            }
        }
        Ok(None)
    }

    /// A row with this content whose file is no longer where it was.
    async fn moved_from(&self, tx: &mut Tx, picture: &Picture) -> Result<Option<Existing>> {
        let rows = sqlx::query(
            "SELECT id, state, slot, sha256, object_sha256, error_kind FROM upload
             WHERE brand_id = ?1 AND sha256 = ?2 AND slot IS NOT NULL AND state NOT IN ('rejected', 'gone')
             ORDER BY id",
        )
        .bind(self.brand.id)
        .bind(&picture.digests.sha256)
        .fetch_all(&mut **tx)
        .await?;
        let rows = rows.iter().map(existing).collect::<Result<Vec<_>>>()?;
        Ok(rows.into_iter().find(|row| self.missing.contains(&row.id)))
    }

    /// A file was renamed onto a name whose own row came to nothing (refused, failed, gone, without a slot):
    /// the renamed file keeps its row and its slot, and the name's old row makes room.
    async fn moved_onto(&self, tx: &mut Tx, picture: &Picture, stale: &Existing) -> Result<Option<Existing>> {
        let came_to_nothing = matches!(stale.state, State::Rejected | State::Failed | State::Gone);
        if !came_to_nothing || stale.slot.is_some() {
            return Ok(None);
        }
        let Some(moved) = self.moved_from(tx, picture).await? else { return Ok(None) };
        slots::recheck_duplicates_of(tx, stale.id).await?;
        for sql in [
            "UPDATE upload SET duplicate_of = NULL WHERE duplicate_of = ?1",
            "DELETE FROM upload WHERE id = ?1",
        ] {
            sqlx::query(sql).bind(stale.id).execute(&mut **tx).await?;
        }
        Ok(Some(moved))
    }

    /// The file is being sent; what changed meanwhile is looked at when that has ended.
    async fn look_later(&self, tx: &mut Tx, row: &Existing) -> Result<RecordResult> {
        sqlx::query("UPDATE upload SET asked = asked + 1 WHERE id = ?1")
            .bind(row.id)
            .execute(&mut **tx)
            .await?;
        Ok(self.recorded(row.id, row.state, row.slot, None, Some(row)))
    }

    /// Same content, other time or inode: nothing is sent again.
    async fn touch(&self, tx: &mut Tx, row: &Existing) -> Result<RecordResult> {
        let stamp = self.file.stamp;
        sqlx::query(
            "UPDATE upload SET size_bytes = ?2, mtime_ns = ?3, inode = ?4, updated_at = ?5, ctime_ns = ?6,
                    next_attempt_at = iif(state = 'retrying' AND error_kind = 'file_changed', ?5, next_attempt_at)
             WHERE id = ?1",
        )
        .bind(row.id)
        .bind(stamp.size.cast_signed())
        .bind(stamp.mtime_ns)
        .bind(stamp.inode.cast_signed())
        .bind(self.now)
        .bind(self.file.ctime_ns)
        .execute(&mut **tx)
        .await?;
        Ok(self.recorded(row.id, row.state, row.slot, None, Some(row)))
    }

    /// The same picture under a new name keeps row and slot.
    async fn take_over(&self, tx: &mut Tx, row: &Existing) -> Result<RecordResult> {
        set_path(tx, row.id, &self.file.path, self.now).await?;
        self.touch(tx, row).await
    }

    /// A file that was refused for a while is again what is on OSS in its slot: nothing is sent.
    async fn restore(
        &self,
        tx: &mut Tx,
        picture: &Picture,
        wish: Option<u32>,
        row: &Existing,
    ) -> Result<RecordResult> {
        let id = self.write(tx, State::Queued, row.slot, Some((picture, wish)), None, None).await?;
        sqlx::query("UPDATE upload SET state = 'uploaded', next_attempt_at = NULL WHERE id = ?1")
            .bind(id)
            .execute(&mut **tx)
            .await?;
        Ok(self.recorded(id, State::Uploaded, row.slot, None, Some(row)))
    }

    async fn place(
        &self,
        tx: &mut Tx,
        picture: &Picture,
        wish: Option<u32>,
        row: Option<&Existing>,
    ) -> Result<RecordResult> {
        let (state, slot, failure, original) = match self.placement(tx, picture, wish, row).await? {
            Placement::Slot(slot) => (State::Queued, Some(slot), None, None),
            Placement::Refused(failure, original) => {
                (State::Rejected, self.slot_to_keep(tx, row).await?, Some(failure), original)
            }
        };
        let id = self.write(tx, state, slot, Some((picture, wish)), failure.as_ref(), original).await?;
        self.settle_others(tx, row).await?;
        Ok(self.recorded(id, state, slot, failure, row))
    }

    async fn refuse(&self, tx: &mut Tx, failure: &Failure, row: Option<&Existing>) -> Result<RecordResult> {
        let slot = self.slot_to_keep(tx, row).await?;
        let id = self.write(tx, State::Rejected, slot, None, Some(failure), None).await?;
        self.settle_others(tx, row).await?;
        Ok(self.recorded(id, State::Rejected, slot, Some(failure.clone()), row))
    }

    /// A refused file keeps its slot only if something of it is on OSS.
    async fn slot_to_keep(&self, tx: &mut Tx, row: Option<&Existing>) -> Result<Option<u32>> {
        let Some(row) = row else { return Ok(None) };
        let slot = sqlx::query_scalar("SELECT iif(sent = 0, NULL, slot) FROM upload WHERE id = ?1")
            .bind(row.id)
            .fetch_one(&mut **tx)
            .await?;
        Ok(slot)
    }

    /// A row that changed may have left a slot, or been the original of a copy.
    async fn settle_others(&self, tx: &mut Tx, row: Option<&Existing>) -> Result<()> {
        let Some(row) = row else { return Ok(()) };
        slots::recheck_duplicates_of(tx, row.id).await?;
        slots::promote(tx, self.brand.id, self.now).await
    }

    async fn placement(
        &self,
        tx: &mut Tx,
        picture: &Picture,
        wish: Option<u32>,
        row: Option<&Existing>,
    ) -> Result<Placement> {
        if let Some((id, name)) = self.original(tx, picture, row).await? {
            let message = format!("the same picture is there already as {}", visible(&name));
            return Ok(Placement::Refused(Failure::new(ErrorKind::Duplicate, message), Some(id)));
        }
        if let Some(slot) = row.and_then(|row| row.slot) {
            return Ok(Placement::Slot(slot));
        }
        let slots = Slots::of(tx, self.brand.id).await?;
        Ok(match wish {
            Some(slot) if slots.is_free(slot) => Placement::Slot(slot),
            Some(slot) if slot > slots.total() || slot == 0 => {
                let message = format!("slot {slot} is beyond the {} of this brand", slots.total());
                Placement::Refused(Failure::new(ErrorKind::LimitReached, message), None)
            }
            Some(slot) => {
                let message = format!("slot {slot} belongs to another file or is reserved");
                Placement::Refused(Failure::new(ErrorKind::SlotTaken, message), None)
            }
            None => {
                slots.lowest_free().map_or_else(|| Placement::Refused(full(&slots), None), Placement::Slot)
            }
        })
    }

    /// Another row of the brand with this content that has a slot or waits for one, and whose file is there.
    async fn original(
        &self,
        tx: &mut Tx,
        picture: &Picture,
        row: Option<&Existing>,
    ) -> Result<Option<(i64, String)>> {
        let rows = sqlx::query(
            "SELECT id, file_name FROM upload
             WHERE brand_id = ?1 AND sha256 = ?2 AND id IS NOT ?3
               AND ((slot IS NOT NULL AND state IN ('queued', 'uploading', 'retrying', 'uploaded'))
                 OR (state = 'rejected' AND error_kind IN ('limit_reached', 'slot_taken')))
             ORDER BY id",
        )
        .bind(self.brand.id)
        .bind(&picture.digests.sha256)
        .bind(row.map(|row| row.id))
        .fetch_all(&mut **tx)
        .await?;
        let read = |row: &SqliteRow| Ok((row.try_get("id")?, row.try_get("file_name")?));
        let rows = rows.iter().map(read).collect::<Result<Vec<(i64, String)>>>()?;
        Ok(rows.into_iter().find(|(id, _)| !self.missing.contains(id)))
    }

    async fn write(
        &self,
        tx: &mut Tx,
        state: State,
        slot: Option<u32>,
        picture: Option<(&Picture, Option<u32>)>,
        failure: Option<&Failure>,
        original: Option<i64>,
    ) -> Result<i64> {
        let content = picture.map(|(picture, _)| picture);
        let stamp = self.file.stamp;
        let turn = match state {
            State::Queued => slots::next_turn(tx, self.brand.id).await?,
            _ => 0,
        };
        let id = sqlx::query_scalar(
            "INSERT INTO upload (brand_id, path_bytes, path, file_name, state, slot, wanted_slot, size_bytes,
                 mtime_ns, inode, suffix, width, height, sha256, md5, crc64, duplicate_of, next_attempt_at,
                 error_kind, error_message, detected_at, updated_at, held, turn, wanted_since, ctime_ns)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?21, ?22, ?23, ?18, ?24)
             ON CONFLICT (brand_id, path_bytes) DO UPDATE SET
                 state = excluded.state, slot = excluded.slot, wanted_slot = excluded.wanted_slot,
                 size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, inode = excluded.inode,
                 ctime_ns = excluded.ctime_ns,
                 suffix = excluded.suffix, width = excluded.width, height = excluded.height,
                 revision = revision + (uploaded_at IS NOT NULL AND excluded.sha256 IS NOT NULL
                                        AND coalesce(sha256, object_sha256) IS NOT excluded.sha256),
                 sha256 = excluded.sha256, md5 = excluded.md5, crc64 = excluded.crc64,
                 duplicate_of = excluded.duplicate_of, next_attempt_at = excluded.next_attempt_at,
                 error_kind = excluded.error_kind, error_code = NULL, error_message = excluded.error_message,
                 attempts = 0, held = excluded.held, turn = excluded.turn,
                 wanted_since = excluded.wanted_since, updated_at = excluded.updated_at
             RETURNING id",
        )
        .bind(self.brand.id)
        .bind(self.file.path.as_os_str().as_bytes())
        .bind(readable(self.file.path.as_os_str()))
        .bind(readable(self.file.path.file_name().unwrap_or_default()))
        .bind(state.as_str())
        .bind(slot)
        .bind(picture.and_then(|(_, wish)| wish))
        .bind(stamp.size.cast_signed())
        .bind(stamp.mtime_ns)
        .bind(stamp.inode.cast_signed())
        .bind(content.map(|picture| picture.format.suffix()))
        .bind(content.map(|picture| picture.dimensions.width))
        .bind(content.map(|picture| picture.dimensions.height))
        .bind(content.map(|picture| picture.digests.sha256.as_str()))
        .bind(content.map(|picture| picture.digests.md5.as_str()))
        .bind(content.map(|picture| picture.digests.crc64.to_string()))
        .bind(original)
        .bind((state == State::Queued).then_some(self.now))
        .bind(failure.map(|failure| failure.kind.as_str()))
        .bind(failure.map(|failure| failure.message.as_str()))
        .bind(self.now)
        .bind(state == State::Queued && self.is_from_before())
        .bind(turn)
        .bind(self.file.ctime_ns)
        .fetch_one(&mut **tx)
        .await?;
        Ok(id)
    }

    /// Was the file there before the database was made anew? Its ctime tells when it came here.
    fn is_from_before(&self) -> bool {
        let newest = self.file.stamp.mtime_ns.max(self.file.ctime_ns);
        self.rebuilt.is_some_and(|rebuilt| i128::from(newest) < rebuilt)
    }

    fn recorded(
        &self,
        id: i64,
        state: State,
        slot: Option<u32>,
        refused: Option<Failure>,
        before: Option<&Existing>,
    ) -> RecordResult {
        let news = is_news(before, refused.as_ref());
        RecordResult { id, path: self.file.path.clone(), state, slot, refused, news }
    }
}

impl Existing {
    /// Does the row stand for this content already, so that nothing is to be done?
    fn holds(&self, picture: &Picture) -> bool {
        let same = self.sha256.as_deref() == Some(&picture.digests.sha256);
        same && matches!(self.state, State::Queued | State::Retrying | State::Uploaded | State::Failed)
    }

    /// Was the row refused, and is this content what was sent before that, and is on OSS?
    fn sent_before(&self, picture: &Picture) -> bool {
        let refused = self.state == State::Rejected && self.slot.is_some();
        refused && self.object_sha256.as_deref() == Some(&picture.digests.sha256)
    }
}

fn is_news(row: Option<&Existing>, refused: Option<&Failure>) -> bool {
    let before = row.filter(|row| row.state == State::Rejected).and_then(|row| row.error_kind.as_deref());
    refused.is_none_or(|refused| before != Some(refused.kind.as_str()))
}

fn full(slots: &Slots) -> Failure {
    let message =
        format!("all {} slots of this brand are taken; this file waits for a free one", slots.total());
    Failure::new(ErrorKind::LimitReached, message)
}

fn existing(row: &SqliteRow) -> Result<Existing> {
    Ok(Existing {
        id: row.try_get("id")?,
        state: state(row)?,
        slot: row.try_get("slot")?,
        sha256: row.try_get("sha256")?,
        object_sha256: row.try_get("object_sha256")?,
        error_kind: row.try_get("error_kind")?,
    })
}
