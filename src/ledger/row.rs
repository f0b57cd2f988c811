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

/// A column of the table, and its value for a file.
type Column = (&'static str, fn(&Upload) -> Value);

/// The columns that say which file it is. They stay what they are while only its progress changes: then they are left
/// out, and with them the indexes that they are in.
const IDENTITY: &[Column] = &[
    ("path_bytes", |file| file.path.as_os_str().as_bytes().into()),
    ("path", |file| readable(file.path.as_os_str()).into()),
    ("file_name", |file| readable(file.path.file_name().unwrap_or_default()).into()),
    ("slot", |file| file.slot.into()),
    ("wanted_slot", |file| file.wanted_slot.into()),
    ("size_bytes", |file| file.stamp.size.cast_signed().into()),
    ("mtime_ns", |file| file.stamp.mtime_ns.into()),
    ("inode", |file| file.stamp.inode.cast_signed().into()),
    ("ctime_ns", |file| file.ctime_ns.into()),
    ("suffix", |file| file.picture.as_ref().map(|picture| picture.format.suffix()).into()),
    ("width", |file| file.picture.as_ref().map(|picture| picture.dimensions.width).into()),
    ("height", |file| file.picture.as_ref().map(|picture| picture.dimensions.height).into()),
    ("sha256", |file| file.picture.as_ref().map(|picture| picture.digests.sha256.as_str()).into()),
    ("md5", |file| file.picture.as_ref().map(|picture| picture.digests.md5.as_str()).into()),
    ("crc64", |file| file.picture.as_ref().map(|picture| picture.digests.crc64.to_string()).into()),
    ("revision", |file| file.revision.into()),
    ("detected_at", |file| rfc3339(file.detected_at).into()),
];

/// The columns that say how far it is.
const PROGRESS: &[Column] = &[
    ("state", |file| file.state.name().as_str().into()),
    ("recheck_requested", |file| file.recheck.requested.into()),
    ("recheck_done", |file| file.recheck.done.into()),
    ("duplicate_of", |file| duplicate_of(file).map(|id| id.0).into()),
    ("attempts", |file| file.attempts.into()),
    ("tries", |file| file.tries.into()),
    ("next_attempt_at", |file| file.state.due().map(rfc3339).into()),
    ("turn", |file| waiting_turn(file).into()),
    ("held", |file| file.state.is_held().into()),
    ("wanted_since", |file| file.wanted_since.map(rfc3339).into()),
    ("claimed_at", |file| claim(file).map(|claim| rfc3339(claim.0)).into()),
    ("claimed_turn", |file| claim(file).map(|claim| claim.1).into()),
    ("lease_until", |file| claim(file).map(|claim| rfc3339(claim.2)).into()),
    ("sent", |file| file.sent.into()),
    ("object_sha256", |file| file.object_sha256.as_deref().into()),
    ("object_url", |file| file.object_url.as_deref().into()),
    ("etag", |file| file.etag.as_deref().into()),
    ("error_kind", |file| file.state.failure().map(|failure| failure.kind.as_str()).into()),
    ("error_code", |file| file.state.failure().and_then(|failure| failure.code.as_deref()).into()),
    ("error_message", |file| file.state.failure().map(|failure| failure.message.as_str()).into()),
    ("request_id", |file| file.request_id.as_deref().into()),
    ("uploaded_at", |file| file.uploaded_at.map(rfc3339).into()),
    ("updated_at", |file| rfc3339(file.updated_at).into()),
];

/// The columns that are written, in the order of [`values`]: all but the ids, or only those of the progress.
pub(super) fn columns(only_progress: bool) -> impl Iterator<Item = &'static str> {
    let identity = IDENTITY.iter().filter(move |_| !only_progress);
    identity.chain(PROGRESS).map(|(name, _)| *name)
}

/// The values of all columns but the ids.
pub(super) fn values(file: &Upload) -> impl Iterator<Item = Value> {
    IDENTITY.iter().chain(PROGRESS).map(|(_, value)| value(file))
}

/// Since when it is claimed, in which round of the queue, and until when at least.
fn claim(file: &Upload) -> Option<(Timestamp, i64, Timestamp)> {
    match &file.state {
        UploadState::Uploading { started_at, turn, lease_until, .. } => {
            Some((*started_at, *turn, *lease_until))
        }
        _ => None,
    }
}

/// The round of the queue in which it may be sent: a held file has none before an operator says so.
fn waiting_turn(file: &Upload) -> Option<i64> {
    file.state.turn().filter(|_| claim(file).is_none() && !file.state.is_held())
}

fn duplicate_of(file: &Upload) -> Option<UploadId> {
    match &file.state {
        UploadState::Rejected { duplicate_of, .. } => *duplicate_of,
        _ => None,
    }
}

/// Is all of [`IDENTITY`] as it was?
pub(super) fn is_same_file(before: &Upload, now: &Upload) -> bool {
    IDENTITY.iter().all(|(_, value)| value(before) == value(now))
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
