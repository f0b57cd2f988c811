//! Brands as rows: loaded whole, and what changed of them written back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::engine::{Engine, Row, Statement, Tx, Value, sql};
use super::error::{LedgerError, Result};
use super::inbox::{Inboxes, Keeper};
use super::recovery;
use super::row;
use crate::domain::brand::{AttemptRecord, Brand, BrandId, Changes, Inbox, Moment, Upload, UploadId};
use crate::domain::clock::rfc3339;

/// Brands by their numbers.
pub(super) type Brands = BTreeMap<BrandId, Brand>;

/// What the rules know of the world outside their brand: of the inbox `$1`, and (SQLite) the id of the next new file, and
/// a number that changes when another connection has written; (PostgreSQL) the time of the database's clock.
macro_rules! moment {
    ($engine:literal) => {
        concat!(
            "SELECT coalesce((SELECT max(claimed_turn) FROM upload WHERE inbox_id = $1 AND lease_until IS NOT NULL),
                             (SELECT min(turn) FROM upload WHERE inbox_id = $1 AND turn IS NOT NULL), 0) AS round,
                    (SELECT since FROM notice WHERE name = 'rebuilt' AND inbox_id = $1) AS hold_before,
                    (SELECT count(*) FROM notice WHERE name = 'suspended') AS suspended,
                    (SELECT epoch FROM inbox WHERE id = $1) AS epoch, ",
            $engine
        )
    };
}

pub(super) const MOMENT: &str = moment!(
    "(SELECT coalesce(max(id), 0) + 1 FROM upload) AS next_id,
     (SELECT data_version FROM pragma_data_version) AS version, NULL AS now"
);

const MOMENT_POSTGRES: &str = moment!("0 AS next_id, 0 AS version, brandpost_time() AS now");

/// PostgreSQL: the brands are ours until the commit, whichever host's files change. With SQLite the whole file is.
const LOCK: &str = "SELECT id, version FROM brand WHERE id IN (";
const LOCK_END: &str = ") ORDER BY id FOR NO KEY UPDATE";

const BUMP: &str = "UPDATE brand SET version = version + 1 WHERE id IN (";

/// Alerts are numbered in the order of their commits: a reader that has seen one has seen those before it.
const NUMBER_ALERTS: &str = "SELECT 1 FROM alert_order FOR UPDATE";

/// Brands, a row for each slot that is reserved.
pub(super) const BRANDS: &str = "
    SELECT b.id, b.type || '/' || b.record_id AS brand, b.slots_total, r.slot
    FROM brand b LEFT JOIN reserved_slot r ON r.brand_id = b.id WHERE b.id IN (";

/// Their files.
pub(super) const FILES: &str = "SELECT * FROM upload WHERE brand_id IN (";

pub(super) const RESIZE: &str = "UPDATE brand SET slots_total = $2 WHERE id = $1";
const RESERVE: &str = "INSERT INTO reserved_slot (brand_id, slot) VALUES ($1, $2)";
pub(super) const UNRESERVE: &str = "DELETE FROM reserved_slot WHERE brand_id = $1 AND slot = $2";
pub(super) const REMOVE: &str = "DELETE FROM upload WHERE id = $1";

/// Slots are exchanged by way of numbers that no brand has.
pub(super) const PARK: &str = "UPDATE upload SET slot = slot + 1000000 WHERE id = $1";

const ATTEMPT: &str = "
    INSERT INTO attempt (upload_id, attempt, started_at, finished_at, outcome, error_kind, error_code,
                         error_message, request_id, bytes, millis) ";

const REFUSED: &str = "INSERT INTO alert (inbox_id, upload_id, state) VALUES ($1, $2, $3)";
const COMPLETED: &str = "INSERT INTO alert (inbox_id, brand_id, state) VALUES ($1, $2, 'complete')";

/// So many rows are written by one statement. One of these sizes, so that there are few distinct statements and each can
/// stay prepared.
const ROWS: [usize; 5] = [16, 8, 4, 2, 1];

/// What a transaction finds when it has begun.
pub(super) struct Beginning {
    pub(super) moment: Moment,
    /// SQLite: the id of the next new file.
    pub(super) next_id: UploadId,
    /// SQLite: changes when another connection has written.
    pub(super) version: i64,
}

/// Reads it, and makes sure that the inbox is still ours.
pub(super) async fn begin(tx: &mut Tx, keeper: &Keeper, now: Timestamp) -> Result<Beginning> {
    let inbox = keeper.inbox();
    let text = match tx.engine() {
        Engine::Sqlite => MOMENT,
        Engine::Postgres => MOMENT_POSTGRES,
    };
    let row = sql(text).bind(inbox.id.0).one(&mut *tx).await?;
    keeper.check(row.get("epoch")?)?;
    let now = match row.get::<Option<&str>>("now")?.and_then(|now| now.parse().ok()) {
        Some(database) => keeper.set_clock(now, database),
        None => now,
    };
    let moment = Moment {
        inbox,
        now,
        round: row.get("round")?,
        suspended: row.get::<i64>("suspended")? > 0,
        hold_before: row.get::<Option<&str>>("hold_before")?.and_then(|since| since.parse().ok()),
    };
    Ok(Beginning { moment, next_id: UploadId(row.get("next_id")?), version: row.get("version")? })
}

/// Locks brands until the end of the transaction. Gives back a number for each that changes when it does; `version`,
/// where the database has one for all.
pub(super) async fn lock(
    tx: &mut Tx,
    ids: &BTreeSet<BrandId>,
    version: i64,
) -> Result<BTreeMap<BrandId, i64>> {
    if !tx.engine().is_shared() {
        return Ok(ids.iter().map(|id| (*id, version)).collect());
    }
    let mut query = id_list(LOCK, ids);
    query.push(LOCK_END);
    let rows = query.all(tx).await?;
    rows.iter().map(|row| Ok((BrandId(row.get("id")?), row.get("version")?))).collect()
}

/// Loads brands with all their files.
pub(super) async fn load(tx: &mut Tx, ids: &BTreeSet<BrandId>, inboxes: &Inboxes) -> Result<Brands> {
    let mut files: BTreeMap<BrandId, Vec<Upload>> = BTreeMap::new();
    inboxes.read(tx).await?;
    let mut query = id_list(FILES, ids);
    query.push(")");
    let read = |row: &Row| {
        files.entry(BrandId(row.get("brand_id")?)).or_default().push(row::read(row, inboxes)?);
        Ok(())
    };
    query.each(&mut *tx, read).await?;
    let mut brands = Brands::new();
    let mut reserved: BTreeMap<BrandId, BTreeSet<u32>> = BTreeMap::new();
    let mut query = id_list(BRANDS, ids);
    query.push(")");
    let rows = query.all(&mut *tx).await?;
    for row in &rows {
        let slots = reserved.entry(BrandId(row.get("id")?)).or_default();
        slots.extend(row.get::<Option<u32>>("slot")?);
    }
    for row in &rows {
        let (id, key): (_, &str) = (BrandId(row.get("id")?), row.get("brand")?);
        let key = key.parse().map_err(|error| LedgerError::Corrupt(format!("{error}")))?;
        let (Some(reserved), files) = (reserved.remove(&id), files.remove(&id).unwrap_or_default()) else {
            continue;
        };
        // the writer gives each brand its next id
        brands.insert(id, Brand::new(id, key, row.get("slots_total")?, reserved, files, UploadId(0)));
    }
    Ok(brands)
}

fn id_list(start: &'static str, ids: &BTreeSet<BrandId>) -> Statement {
    let mut query = sql(start);
    query.push_list(ids.iter().map(|id| id.0));
    query
}

/// Writes what has changed of brands, the rows of all of them together. `versions` are then those that `lock` finds next;
/// the writing connection of SQLite does not see its own commits as those of others.
pub(super) async fn save(
    tx: &mut Tx,
    changed: &[(&Brand, Changes<'_>)],
    by: &Inbox,
    versions: &mut BTreeMap<BrandId, i64>,
) -> Result<()> {
    if tx.engine().is_shared() {
        count_up(tx, changed, versions).await?;
    }
    for (brand, changes) in changed {
        let id = brand.id();
        if let Some(total) = changes.slots_total {
            sql(RESIZE).bind(id.0).bind(total).execute(&mut *tx).await?;
        }
        for slot in &changes.unreserved {
            sql(UNRESERVE).bind(id.0).bind(*slot).execute(&mut *tx).await?;
        }
    }
    save_files(tx, changed).await?;
    for (brand, changes) in changed {
        for slot in &changes.reserved {
            sql(RESERVE).bind(brand.id().0).bind(*slot).execute(&mut *tx).await?;
        }
    }
    let attempts: Vec<_> = changed.iter().flat_map(|(_, changes)| changes.attempts).collect();
    for attempts in statements(&attempts) {
        log_attempts(tx, attempts).await?;
    }
    for (brand, changes) in changed {
        save_alerts(tx, brand, changes, by).await?;
    }
    if changed.iter().any(|(_, changes)| changes.ends_a_hold()) {
        recovery::end_rebuild(tx, by.id).await?;
    }
    Ok(())
}

/// The brands' versions, where each has its own.
async fn count_up(
    tx: &mut Tx,
    changed: &[(&Brand, Changes<'_>)],
    versions: &mut BTreeMap<BrandId, i64>,
) -> Result<()> {
    let ids: BTreeSet<_> = changed.iter().map(|(brand, _)| brand.id()).collect();
    let mut bump = id_list(BUMP, &ids);
    bump.push(")");
    bump.execute(tx).await?;
    for id in ids {
        *versions.entry(id).or_default() += 1;
    }
    Ok(())
}

async fn save_alerts(tx: &mut Tx, brand: &Brand, changes: &Changes<'_>, by: &Inbox) -> Result<()> {
    let refused: Vec<_> = changes.refused().collect();
    if (changes.completed || !refused.is_empty()) && tx.engine().is_shared() {
        sql(NUMBER_ALERTS).execute(&mut *tx).await?;
    }
    if changes.completed {
        sql(COMPLETED).bind(by.id.0).bind(brand.id().0).execute(&mut *tx).await?;
    }
    for refused in refused {
        let Some(file) = brand.file(refused.upload) else { continue };
        let query = sql(REFUSED).bind(file.inbox.id.0).bind(file.id.0).bind(refused.state.as_str());
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// A slot and a path have one row each at any moment: what gives one up is written before what takes it.
async fn save_files(tx: &mut Tx, changed: &[(&Brand, Changes<'_>)]) -> Result<()> {
    let (mut files, mut progress) = (Vec::new(), Vec::new());
    for (brand, changes) in changed {
        for id in &changes.removed {
            sql(REMOVE).bind(id.0).execute(&mut *tx).await?;
        }
        for (before, file) in &changes.saved {
            if before.is_some_and(|before| {
                before.slot.is_some() && file.slot.is_some() && before.slot != file.slot
            }) {
                sql(PARK).bind(file.id.0).execute(&mut *tx).await?;
            }
        }
        let rows = changes.saved.iter().map(|(_, file)| (brand.id(), *file));
        if is_progress(changes) { progress.extend(rows) } else { files.extend(rows) }
    }
    for (mut files, is_progress) in [(files, false), (progress, true)] {
        files.sort_by_key(|(_, file)| (file.slot.is_some(), file.id));
        for files in statements(&files) {
            upsert(files, is_progress).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

/// Are all rows there, and the same files?
fn is_progress(changes: &Changes<'_>) -> bool {
    let is_same = |before: &Upload, file| row::is_same_file(before, file);
    changes.saved.iter().all(|(before, file)| before.is_some_and(|before| is_same(before, file)))
}

/// Rows, as many at a time as one statement writes.
fn statements<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let count = ROWS.into_iter().find(|count| *count <= rows.len())?;
        rows.split_off(..count)
    })
}

/// One statement for rows that are new and rows that are there. `is_progress`: they are there, and the same files.
fn upsert(files: &[(BrandId, &Upload)], is_progress: bool) -> Statement {
    let mut query = sql("INSERT INTO upload (id, brand_id, inbox_id");
    for column in row::columns(false) {
        query.push(", ").push(column);
    }
    query.push(") ");
    query.push_rows(files.iter().map(|(brand, file)| {
        let ids = [file.id.0, brand.0, file.inbox.id.0].map(Value::from);
        ids.into_iter().chain(row::values(file)).collect()
    }));
    query.push(" ON CONFLICT (id) DO UPDATE SET ");
    for (at, column) in row::columns(is_progress).enumerate() {
        query.push(if at > 0 { ", " } else { "" }).push(column).push(" = excluded.").push(column);
    }
    query
}

async fn log_attempts(tx: &mut Tx, attempts: &[&AttemptRecord]) -> Result<()> {
    let mut query = sql(ATTEMPT);
    query.push_rows(attempts.iter().map(|attempt| {
        let failure = attempt.failure.as_ref();
        vec![
            Value::from(attempt.upload.0),
            Value::from(attempt.number),
            Value::from(rfc3339(attempt.started_at)),
            Value::from(rfc3339(attempt.finished_at)),
            Value::from(attempt.outcome.as_str()),
            Value::from(failure.map(|failure| failure.kind.as_str())),
            Value::from(failure.and_then(|failure| failure.code.as_deref())),
            Value::from(failure.map(|failure| failure.message.as_str())),
            Value::from(attempt.request_id.as_deref()),
            Value::from(attempt.bytes.map(u64::cast_signed)),
            Value::from(attempt.took.map(|took| i64::try_from(took.as_millis()).unwrap_or(i64::MAX))),
        ]
    }));
    query.execute(tx).await?;
    Ok(())
}
