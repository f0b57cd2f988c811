//! Brands as rows: loaded whole, and what changed of them written back. A second engine would be a second file like
//! this one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::error::{LedgerError, Result};
use super::recovery;
use super::row::{self, IDENTITY, PROGRESS};
use super::session::Tx;
use crate::domain::brand::{AttemptRecord, Brand, BrandId, Changes, Moment, Upload, UploadId};
use crate::domain::clock::rfc3339;

/// Brands by their numbers.
pub(super) type Brands = BTreeMap<BrandId, Brand>;

/// What the rules know of the world outside their brand, the id of the next new file, and a number that changes when
/// another connection has written.
pub(super) const MOMENT: &str = "
    SELECT coalesce((SELECT max(claimed_turn) FROM upload WHERE lease_until IS NOT NULL),
                    (SELECT min(turn) FROM upload WHERE turn IS NOT NULL), 0) AS round,
           (SELECT coalesce(max(id), 0) + 1 FROM upload) AS next_id,
           (SELECT since FROM notice WHERE name = 'rebuilt') AS hold_before,
           (SELECT count(*) FROM notice WHERE name = 'suspended') AS suspended,
           (SELECT data_version FROM pragma_data_version) AS version";

/// Brands, a row for each slot that is reserved.
pub(super) const BRANDS: &str = "
    SELECT b.id, b.type || '/' || b.record_id AS brand, b.slots_total, r.slot
    FROM brand b LEFT JOIN reserved_slot r ON r.brand_id = b.id WHERE b.id IN (";

/// Their files.
pub(super) const FILES: &str = "SELECT * FROM upload WHERE brand_id IN (";

const RESIZE: &str = "UPDATE brand SET slots_total = $2 WHERE id = $1";
const RESERVE: &str = "INSERT INTO reserved_slot (brand_id, slot) VALUES ($1, $2)";
const UNRESERVE: &str = "DELETE FROM reserved_slot WHERE brand_id = $1 AND slot = $2";
const REMOVE: &str = "DELETE FROM upload WHERE id = $1";

/// Slots are exchanged by way of numbers that no brand has.
const PARK: &str = "UPDATE upload SET slot = slot + 1000000 WHERE id = $1";

const ATTEMPT: &str = "
    INSERT INTO attempt (upload_id, attempt, started_at, finished_at, outcome, error_kind, error_code,
                         error_message, request_id, bytes, millis) ";

const REFUSED: &str = "INSERT INTO alert (upload_id, state) VALUES ($1, $2)";
const COMPLETED: &str = "INSERT INTO alert (brand_id, state) VALUES ($1, 'complete')";

/// So many rows are written by one statement.
const ROWS: usize = 64;

pub(super) async fn moment(tx: &mut Tx, now: Timestamp) -> Result<(Moment, UploadId, i64)> {
    let row = sqlx::query(MOMENT).fetch_one(&mut **tx).await?;
    let moment = Moment {
        now,
        round: row.try_get("round")?,
        suspended: row.try_get::<i64, _>("suspended")? > 0,
        hold_before: row.try_get::<Option<&str>, _>("hold_before")?.and_then(|since| since.parse().ok()),
    };
    Ok((moment, UploadId(row.try_get("next_id")?), row.try_get("version")?))
}

/// Loads brands with all their files. `next_id` is the id of the next new file.
pub(super) async fn load(tx: &mut Tx, ids: &BTreeSet<BrandId>, next_id: UploadId) -> Result<Brands> {
    let mut files: BTreeMap<BrandId, Vec<Upload>> = BTreeMap::new();
    for row in id_list(FILES, ids).build().fetch_all(&mut **tx).await? {
        files.entry(BrandId(row.try_get("brand_id")?)).or_default().push(row::read(&row)?);
    }
    let mut brands = Brands::new();
    let mut reserved: BTreeMap<BrandId, BTreeSet<u32>> = BTreeMap::new();
    let rows = id_list(BRANDS, ids).build().fetch_all(&mut **tx).await?;
    for row in &rows {
        let slots = reserved.entry(BrandId(row.try_get("id")?)).or_default();
        slots.extend(row.try_get::<Option<u32>, _>("slot")?);
    }
    for row in &rows {
        let (id, key): (_, &str) = (BrandId(row.try_get("id")?), row.try_get("brand")?);
        let key = key.parse().map_err(|error| LedgerError::Corrupt(format!("{error}")))?;
        let (Some(reserved), files) = (reserved.remove(&id), files.remove(&id).unwrap_or_default()) else {
            continue;
        };
        brands.insert(id, Brand::new(id, key, row.try_get("slots_total")?, reserved, files, next_id));
    }
    Ok(brands)
}

fn id_list(start: &'static str, ids: &BTreeSet<BrandId>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(start);
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(id.0);
    }
    query.push(")");
    query
}

/// Writes what has changed of a brand.
pub(super) async fn save(tx: &mut Tx, brand: BrandId, changes: &Changes<'_>) -> Result<()> {
    if let Some(total) = changes.slots_total {
        sqlx::query(RESIZE).bind(brand.0).bind(total).execute(&mut **tx).await?;
    }
    for slot in &changes.unreserved {
        sqlx::query(UNRESERVE).bind(brand.0).bind(slot).execute(&mut **tx).await?;
    }
    save_files(tx, brand, changes).await?;
    for slot in &changes.reserved {
        sqlx::query(RESERVE).bind(brand.0).bind(slot).execute(&mut **tx).await?;
    }
    for attempts in changes.attempts.chunks(ROWS) {
        log_attempts(tx, attempts).await?;
    }
    for refused in changes.refused() {
        let query = sqlx::query(REFUSED).bind(refused.upload.0).bind(refused.state.as_str());
        query.execute(&mut **tx).await?;
    }
    if changes.completed {
        sqlx::query(COMPLETED).bind(brand.0).execute(&mut **tx).await?;
    }
    if changes.ends_a_hold() {
        recovery::end_rebuild(tx).await?;
    }
    Ok(())
}

/// A slot and a path have one row each at any moment: what gives one up is written before what takes it.
async fn save_files(tx: &mut Tx, brand: BrandId, changes: &Changes<'_>) -> Result<()> {
    for id in &changes.removed {
        sqlx::query(REMOVE).bind(id.0).execute(&mut **tx).await?;
    }
    for (before, file) in &changes.saved {
        if before
            .is_some_and(|before| before.slot.is_some() && file.slot.is_some() && before.slot != file.slot)
        {
            sqlx::query(PARK).bind(file.id.0).execute(&mut **tx).await?;
        }
    }
    let mut files: Vec<&Upload> = changes.saved.iter().map(|(_, file)| *file).collect();
    files.sort_by_key(|file| (file.slot.is_some(), file.id));
    let is_same = |(before, file): &(Option<&Upload>, &Upload)| {
        before.is_some_and(|before| row::is_same_file(before, file))
    };
    let is_progress = changes.saved.iter().all(is_same);
    for files in files.chunks(ROWS) {
        upsert(brand, files, is_progress).build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// One statement for rows that are new and rows that are there. `is_progress`: they are there, and the same files.
fn upsert(brand: BrandId, files: &[&Upload], is_progress: bool) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("INSERT INTO upload (id, brand_id");
    for column in IDENTITY.into_iter().chain(PROGRESS) {
        query.push(", ").push(column);
    }
    query.push(") ");
    query.push_values(files, |mut values, file| {
        values.push_bind(file.id.0).push_bind(brand.0);
        row::bind(&mut values, file);
    });
    query.push(" ON CONFLICT (id) DO UPDATE SET ");
    let mut set = query.separated(", ");
    let identity = IDENTITY.into_iter().filter(|_| !is_progress);
    for column in identity.chain(PROGRESS) {
        set.push(column).push_unseparated(" = excluded.").push_unseparated(column);
    }
    query
}

async fn log_attempts(tx: &mut Tx, attempts: &[AttemptRecord]) -> Result<()> {
    let mut query = QueryBuilder::<Sqlite>::new(ATTEMPT);
    query.push_values(attempts, |mut values, attempt| {
        let failure = attempt.failure.as_ref();
        values
            .push_bind(attempt.upload.0)
            .push_bind(attempt.number)
            .push_bind(rfc3339(attempt.started_at))
            .push_bind(rfc3339(attempt.finished_at))
            .push_bind(attempt.outcome.as_str())
            .push_bind(failure.map(|failure| failure.kind.as_str()))
            .push_bind(failure.and_then(|failure| failure.code.as_deref()))
            .push_bind(failure.map(|failure| failure.message.as_str()))
            .push_bind(attempt.request_id.as_deref())
            .push_bind(attempt.bytes.map(u64::cast_signed))
            .push_bind(attempt.took.map(|took| i64::try_from(took.as_millis()).unwrap_or(i64::MAX)));
    });
    query.build().execute(&mut **tx).await?;
    Ok(())
}
