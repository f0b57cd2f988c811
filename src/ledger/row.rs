//! Rows: a brand that has one, and a file as a row of the table `upload`, there and back.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use jiff::Timestamp;
use sqlx::query_builder::Separated;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite};

use super::error::{LedgerError, Result};
use crate::domain::brand::{BrandId, BrandKey, Recheck, Upload, UploadId, UploadState};
use crate::domain::clock::rfc3339;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::image::{Dimensions, Format};
use crate::domain::text::readable;
use crate::domain::upload::{Digests, Picture, Stamp, State};

/// A brand that has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BrandRow {
    /// The row.
    pub id: BrandId,
    /// Which brand it is.
    pub brand: BrandKey,
}

/// The columns that say which file it is. They stay what they are while only its progress changes: then they are left
/// out, and with them the indexes that they are in.
pub(super) const IDENTITY: [&str; 17] = [
    "path_bytes",
    "path",
    "file_name",
    "slot",
    "wanted_slot",
    "size_bytes",
    "mtime_ns",
    "inode",
    "ctime_ns",
    "suffix",
    "width",
    "height",
    "sha256",
    "md5",
    "crc64",
    "revision",
    "detected_at",
];

/// The columns that say how far it is.
pub(super) const PROGRESS: [&str; 23] = [
    "state",
    "recheck_requested",
    "recheck_done",
    "duplicate_of",
    "attempts",
    "tries",
    "next_attempt_at",
    "turn",
    "held",
    "wanted_since",
    "claimed_at",
    "claimed_turn",
    "lease_until",
    "sent",
    "object_sha256",
    "object_url",
    "etag",
    "error_kind",
    "error_code",
    "error_message",
    "request_id",
    "uploaded_at",
    "updated_at",
];

/// Is all of [`IDENTITY`] as it was?
pub(super) fn is_same_file(before: &Upload, now: &Upload) -> bool {
    let seen = |file: &Upload| (file.slot, file.wanted_slot, file.stamp, file.ctime_ns, file.revision);
    seen(before) == seen(now) && before.path == now.path && before.picture == now.picture
}

/// Binds the values of [`IDENTITY`], then those of [`PROGRESS`].
pub(super) fn bind(values: &mut Separated<'_, Sqlite, &'static str>, file: &Upload) {
    let picture = file.picture.as_ref();
    let failure = file.state.failure();
    let (claimed_at, claimed_turn, lease_until) = match &file.state {
        UploadState::Uploading { started_at, turn, lease_until, .. } => {
            (Some(*started_at), Some(*turn), Some(*lease_until))
        }
        _ => (None, None, None),
    };
    // a held file has no turn before an operator says so
    let turn = file.state.turn().filter(|_| claimed_turn.is_none() && !file.state.is_held());
    let duplicate_of = match &file.state {
        UploadState::Rejected { duplicate_of, .. } => duplicate_of.map(|id| id.0),
        _ => None,
    };
    values
        .push_bind(file.path.as_os_str().as_bytes())
        .push_bind(readable(file.path.as_os_str()))
        .push_bind(readable(file.path.file_name().unwrap_or_default()))
        .push_bind(file.slot)
        .push_bind(file.wanted_slot)
        .push_bind(file.stamp.size.cast_signed())
        .push_bind(file.stamp.mtime_ns)
        .push_bind(file.stamp.inode.cast_signed())
        .push_bind(file.ctime_ns)
        .push_bind(picture.map(|picture| picture.format.suffix()))
        .push_bind(picture.map(|picture| picture.dimensions.width))
        .push_bind(picture.map(|picture| picture.dimensions.height))
        .push_bind(picture.map(|picture| picture.digests.sha256.as_str()))
        .push_bind(picture.map(|picture| picture.digests.md5.as_str()))
        .push_bind(picture.map(|picture| picture.digests.crc64.to_string()))
        .push_bind(file.revision)
        .push_bind(rfc3339(file.detected_at))
        .push_bind(file.state.name().as_str())
        .push_bind(file.recheck.requested)
        .push_bind(file.recheck.done)
        .push_bind(duplicate_of)
        .push_bind(file.attempts)
        .push_bind(file.tries)
        .push_bind(file.state.due().map(rfc3339))
        .push_bind(turn)
        .push_bind(file.state.is_held())
        .push_bind(file.wanted_since.map(rfc3339))
        .push_bind(claimed_at.map(rfc3339))
        .push_bind(claimed_turn)
        .push_bind(lease_until.map(rfc3339))
        .push_bind(file.sent)
        .push_bind(file.object_sha256.as_deref())
        .push_bind(file.object_url.as_deref())
        .push_bind(file.etag.as_deref())
        .push_bind(failure.map(|failure| failure.kind.as_str()))
        .push_bind(failure.and_then(|failure| failure.code.as_deref()))
        .push_bind(failure.map(|failure| failure.message.as_str()))
        .push_bind(file.request_id.as_deref())
        .push_bind(file.uploaded_at.map(rfc3339))
        .push_bind(rfc3339(file.updated_at));
}

/// A file from its row.
pub(super) fn read(row: &SqliteRow) -> Result<Upload> {
    Ok(Upload {
        id: UploadId(row.try_get("id")?),
        path: path(row)?,
        state: upload_state(row)?,
        slot: row.try_get("slot")?,
        wanted_slot: row.try_get("wanted_slot")?,
        stamp: stamp(row)?,
        ctime_ns: row.try_get("ctime_ns")?,
        picture: picture(row)?,
        recheck: Recheck { requested: row.try_get("recheck_requested")?, done: row.try_get("recheck_done")? },
        revision: row.try_get("revision")?,
        attempts: row.try_get("attempts")?,
        tries: row.try_get("tries")?,
        sent: row.try_get("sent")?,
        object_sha256: row.try_get("object_sha256")?,
        object_url: row.try_get("object_url")?,
        etag: row.try_get("etag")?,
        request_id: row.try_get("request_id")?,
        detected_at: needed(row, "detected_at")?,
        wanted_since: time(row, "wanted_since")?,
        uploaded_at: time(row, "uploaded_at")?,
        updated_at: needed(row, "updated_at")?,
    })
}

fn upload_state(row: &SqliteRow) -> Result<UploadState> {
    let turn = || -> Result<i64> { Ok(row.try_get::<Option<i64>, _>("turn")?.unwrap_or_default()) };
    Ok(match state(row)? {
        State::Queued => UploadState::Queued {
            due: needed(row, "next_attempt_at")?,
            turn: turn()?,
            held: row.try_get("held")?,
        },
        State::Uploading => UploadState::Uploading {
            lease_until: needed(row, "lease_until")?,
            started_at: needed(row, "claimed_at")?,
            turn: row.try_get("claimed_turn")?,
            last_failure: failure(row)?,
        },
        State::Retrying => UploadState::Retrying {
            due: needed(row, "next_attempt_at")?,
            turn: turn()?,
            failure: needed_failure(row)?,
        },
        State::Uploaded => UploadState::Uploaded,
        State::Failed => UploadState::Failed { failure: needed_failure(row)? },
        State::Rejected => {
            let duplicate_of = row.try_get::<Option<i64>, _>("duplicate_of")?.map(UploadId);
            UploadState::Rejected { failure: needed_failure(row)?, duplicate_of }
        }
        State::Gone => UploadState::Gone,
    })
}

fn failure(row: &SqliteRow) -> Result<Option<Failure>> {
    let Some(kind) = row.try_get::<Option<&str>, _>("error_kind")? else { return Ok(None) };
    let kind: ErrorKind = kind.parse().map_err(LedgerError::Corrupt)?;
    let message: Option<String> = row.try_get("error_message")?;
    let (code, message) = (row.try_get("error_code")?, message.unwrap_or_default());
    Ok(Some(Failure { kind, code, message, request_id: None }))
}

fn needed_failure(row: &SqliteRow) -> Result<Failure> {
    failure(row)?.ok_or_else(|| LedgerError::Corrupt("a refusal without a reason".into()))
}

fn picture(row: &SqliteRow) -> Result<Option<Picture>> {
    let Some(suffix) = row.try_get::<Option<&str>, _>("suffix")? else { return Ok(None) };
    let crc64: &str = row.try_get("crc64")?;
    Ok(Some(Picture {
        format: Format::from_suffix(suffix).ok_or_else(|| LedgerError::Corrupt(suffix.into()))?,
        dimensions: Dimensions { width: row.try_get("width")?, height: row.try_get("height")? },
        digests: Digests {
            sha256: row.try_get("sha256")?,
            md5: row.try_get("md5")?,
            crc64: crc64.parse().map_err(|_| LedgerError::Corrupt(format!("crc64 {crc64}")))?,
        },
    }))
}

fn time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>> {
    let Some(text) = row.try_get::<Option<&str>, _>(column)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| LedgerError::Corrupt(format!("{column} {text}")))
}

fn needed(row: &SqliteRow, column: &str) -> Result<Timestamp> {
    time(row, column)?.ok_or_else(|| LedgerError::Corrupt(format!("no {column}")))
}

pub(super) fn path(row: &SqliteRow) -> Result<PathBuf> {
    let bytes: &[u8] = row.try_get("path_bytes")?;
    Ok(PathBuf::from(OsStr::from_bytes(bytes)))
}

pub(super) fn state(row: &SqliteRow) -> Result<State> {
    let text: &str = row.try_get("state")?;
    text.parse().map_err(LedgerError::Corrupt)
}

pub(super) fn stamp(row: &SqliteRow) -> Result<Stamp> {
    Ok(Stamp {
        size: row.try_get::<i64, _>("size_bytes")?.cast_unsigned(),
        mtime_ns: row.try_get("mtime_ns")?,
        inode: row.try_get::<i64, _>("inode")?.cast_unsigned(),
    })
}
