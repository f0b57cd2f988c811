//! Rows: a brand that has one, and a file as a row of the table `upload`, there and back.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::engine::{Row, Value};
use super::error::{LedgerError, Result};
use super::inbox::Inboxes;
use crate::domain::brand::{BrandId, BrandKey, InboxId, Recheck, Upload, UploadId, UploadState};
use crate::domain::clock::rfc3339;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::image::{Dimensions, Format};
use crate::domain::text::readable;
use crate::domain::upload::{Digests, Picture, Stamp, State};
use jiff::Timestamp;

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

/// The values of [`IDENTITY`], then those of [`PROGRESS`].
pub(super) fn values(file: &Upload) -> impl Iterator<Item = Value> {
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
    let identity = [
        Value::from(file.path.as_os_str().as_bytes()),
        Value::from(readable(file.path.as_os_str())),
        Value::from(readable(file.path.file_name().unwrap_or_default())),
        Value::from(file.slot),
        Value::from(file.wanted_slot),
        Value::from(file.stamp.size.cast_signed()),
        Value::from(file.stamp.mtime_ns),
        Value::from(file.stamp.inode.cast_signed()),
        Value::from(file.ctime_ns),
        Value::from(picture.map(|picture| picture.format.suffix())),
        Value::from(picture.map(|picture| picture.dimensions.width)),
        Value::from(picture.map(|picture| picture.dimensions.height)),
        Value::from(picture.map(|picture| picture.digests.sha256.as_str())),
        Value::from(picture.map(|picture| picture.digests.md5.as_str())),
        Value::from(picture.map(|picture| picture.digests.crc64.to_string())),
        Value::from(file.revision),
        Value::from(rfc3339(file.detected_at)),
    ];
    let progress = [
        Value::from(file.state.name().as_str()),
        Value::from(file.recheck.requested),
        Value::from(file.recheck.done),
        Value::from(duplicate_of),
        Value::from(file.attempts),
        Value::from(file.tries),
        Value::from(file.state.due().map(rfc3339)),
        Value::from(turn),
        Value::from(file.state.is_held()),
        Value::from(file.wanted_since.map(rfc3339)),
        Value::from(claimed_at.map(rfc3339)),
        Value::from(claimed_turn),
        Value::from(lease_until.map(rfc3339)),
        Value::from(file.sent),
        Value::from(file.object_sha256.as_deref()),
        Value::from(file.object_url.as_deref()),
        Value::from(file.etag.as_deref()),
        Value::from(failure.map(|failure| failure.kind.as_str())),
        Value::from(failure.and_then(|failure| failure.code.as_deref())),
        Value::from(failure.map(|failure| failure.message.as_str())),
        Value::from(file.request_id.as_deref()),
        Value::from(file.uploaded_at.map(rfc3339)),
        Value::from(rfc3339(file.updated_at)),
    ];
    identity.into_iter().chain(progress)
}

/// A file from its row.
pub(super) fn read(row: &Row, inboxes: &Inboxes) -> Result<Upload> {
    Ok(Upload {
        id: UploadId(row.get("id")?),
        inbox: inboxes.get(InboxId(row.get("inbox_id")?)),
        path: path(row)?,
        state: upload_state(row)?,
        slot: row.get("slot")?,
        wanted_slot: row.get("wanted_slot")?,
        stamp: stamp(row)?,
        ctime_ns: row.get("ctime_ns")?,
        picture: picture(row)?,
        recheck: Recheck { requested: row.get("recheck_requested")?, done: row.get("recheck_done")? },
        revision: row.get("revision")?,
        attempts: row.get("attempts")?,
        tries: row.get("tries")?,
        sent: row.get("sent")?,
        object_sha256: row.get("object_sha256")?,
        object_url: row.get("object_url")?,
        etag: row.get("etag")?,
        request_id: row.get("request_id")?,
        detected_at: needed(row, "detected_at")?,
        wanted_since: time(row, "wanted_since")?,
        uploaded_at: time(row, "uploaded_at")?,
        updated_at: needed(row, "updated_at")?,
    })
}

fn upload_state(row: &Row) -> Result<UploadState> {
    let turn = || -> Result<i64> { Ok(row.get::<Option<i64>>("turn")?.unwrap_or_default()) };
    Ok(match state(row)? {
        State::Queued => UploadState::Queued {
            due: needed(row, "next_attempt_at")?,
            turn: turn()?,
            held: row.get("held")?,
        },
        State::Uploading => UploadState::Uploading {
            lease_until: needed(row, "lease_until")?,
            started_at: needed(row, "claimed_at")?,
            turn: row.get("claimed_turn")?,
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
            let duplicate_of = row.get::<Option<i64>>("duplicate_of")?.map(UploadId);
            UploadState::Rejected { failure: needed_failure(row)?, duplicate_of }
        }
        State::Gone => UploadState::Gone,
    })
}

fn failure(row: &Row) -> Result<Option<Failure>> {
    let Some(kind) = row.get::<Option<&str>>("error_kind")? else { return Ok(None) };
    let kind: ErrorKind = kind.parse().map_err(LedgerError::Corrupt)?;
    let message: Option<String> = row.get("error_message")?;
    let (code, message) = (row.get("error_code")?, message.unwrap_or_default());
    Ok(Some(Failure { kind, code, message, request_id: None }))
}

fn needed_failure(row: &Row) -> Result<Failure> {
    failure(row)?.ok_or_else(|| LedgerError::Corrupt("a refusal without a reason".into()))
}

fn picture(row: &Row) -> Result<Option<Picture>> {
    let Some(suffix) = row.get::<Option<&str>>("suffix")? else { return Ok(None) };
    let crc64: &str = row.get("crc64")?;
    Ok(Some(Picture {
        format: Format::from_suffix(suffix).ok_or_else(|| LedgerError::Corrupt(suffix.into()))?,
        dimensions: Dimensions { width: row.get("width")?, height: row.get("height")? },
        digests: Digests {
            sha256: row.get("sha256")?,
            md5: row.get("md5")?,
            crc64: crc64.parse().map_err(|_| LedgerError::Corrupt(format!("crc64 {crc64}")))?,
        },
    }))
}

fn time(row: &Row, column: &str) -> Result<Option<Timestamp>> {
    let Some(text) = row.get::<Option<&str>>(column)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| LedgerError::Corrupt(format!("{column} {text}")))
}

fn needed(row: &Row, column: &str) -> Result<Timestamp> {
    time(row, column)?.ok_or_else(|| LedgerError::Corrupt(format!("no {column}")))
}

pub(super) fn path(row: &Row) -> Result<PathBuf> {
    let bytes: &[u8] = row.get("path_bytes")?;
    Ok(PathBuf::from(OsStr::from_bytes(bytes)))
}

pub(super) fn state(row: &Row) -> Result<State> {
    let text: &str = row.get("state")?;
    text.parse().map_err(LedgerError::Corrupt)
}

pub(super) fn stamp(row: &Row) -> Result<Stamp> {
    Ok(Stamp {
        size: row.get::<i64>("size_bytes")?.cast_unsigned(),
        mtime_ns: row.get("mtime_ns")?,
        inode: row.get::<i64>("inode")?.cast_unsigned(),
    })
}
