//! Slots: who has which one, which is free, who is next when one is given back.

use sqlx::Row;

use super::Tx;
use super::error::{LedgerError, Result};

/// The slots of a brand at one moment, inside a transaction.
#[derive(Debug)]
pub(super) struct Slots {
    total: u32,
    taken: Vec<u32>,
}

impl Slots {
    /// Reads them.
    pub(super) async fn of(tx: &mut Tx, brand: i64) -> Result<Self> {
        let total = sqlx::query_scalar("SELECT slots_total FROM brand WHERE id = ?1")
            .bind(brand)
            .fetch_one(&mut **tx)
            .await?;
        let taken = sqlx::query_scalar(
            "SELECT slot FROM upload WHERE brand_id = ?1 AND slot IS NOT NULL
             UNION ALL SELECT slot FROM reserved_slot WHERE brand_id = ?1",
        )
        .bind(brand)
        .fetch_all(&mut **tx)
        .await?;
        Ok(Self { total, taken })
    }

    /// How many the brand has.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// The lowest one that nobody has.
    pub(super) fn lowest_free(&self) -> Option<u32> {
        (1..=self.total).find(|slot| !self.taken.contains(slot))
    }

    /// Is it one of the brand's, and nobody's?
    pub(super) fn is_free(&self, slot: u32) -> bool {
        (1..=self.total).contains(&slot) && !self.taken.contains(&slot)
    }
}

/// Lets waiting files into free slots, oldest first, until one of the two runs out.
pub(super) async fn promote(tx: &mut Tx, brand: i64, now: &str) -> Result<()> {
    while let Some(free) = Slots::of(tx, brand).await?.lowest_free() {
        let Some((id, slot)) = next_waiting(tx, brand, free).await? else {
            break;
        };
        queue(tx, brand, id, slot, now).await?;
    }
    Ok(())
}

/// Queues a file that nobody works on, in this slot, as if nothing had been tried.
pub(super) async fn queue(tx: &mut Tx, brand: i64, id: i64, slot: u32, now: &str) -> Result<()> {
    let turn = next_turn(tx, brand).await?;
    let result = sqlx::query(
        "UPDATE upload SET state = 'queued', slot = ?2, next_attempt_at = ?3, updated_at = ?3, wanted_since = ?3, attempts = 0, turn = ?4,
                error_kind = NULL, error_code = NULL, error_message = NULL
         WHERE id = ?1 AND state <> 'uploading'",
    )
    .bind(id)
    .bind(slot)
    .bind(now)
    .bind(turn)
    .execute(&mut **tx)
    .await?;
    match result.rows_affected() {
        1 => Ok(()),
        _ => Err(LedgerError::Conflict { id, step: "queueing" }),
    }
}

/// The round of the queue in which another file of this brand has its turn: the one that is on now, or the one
/// after the brand's last. So a brand with one file does not wait for another's hundred.
pub(super) async fn next_turn(tx: &mut Tx, brand: i64) -> Result<i64> {
    let turn = sqlx::query_scalar(
        "SELECT max(
            coalesce((SELECT max(turn) FROM upload WHERE state = 'uploading'),
                     (SELECT min(turn) FROM upload INDEXED BY upload_turn WHERE state IN ('queued', 'retrying') AND held = 0),
                     0),
            coalesce((SELECT max(turn) + 1 FROM upload
                      WHERE brand_id = ?1 AND slot IS NOT NULL AND state IN ('queued', 'retrying', 'uploading')), 0))",
    )
    .bind(brand)
    .fetch_one(&mut **tx)
    .await?;
    Ok(turn)
}

/// The oldest file that waits for any slot, or for one that is free now.
async fn next_waiting(tx: &mut Tx, brand: i64, free: u32) -> Result<Option<(i64, u32)>> {
    let row = sqlx::query(
        "SELECT u.id, coalesce(u.wanted_slot, ?2) AS slot FROM upload u
         WHERE u.brand_id = ?1 AND u.state = 'rejected' AND u.sha256 IS NOT NULL
           AND ((u.error_kind = 'limit_reached' AND u.wanted_slot IS NULL)
             OR (u.error_kind IN ('limit_reached', 'slot_taken')
                 AND u.wanted_slot BETWEEN 1 AND (SELECT slots_total FROM brand WHERE id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM upload o WHERE o.brand_id = ?1 AND o.slot = u.wanted_slot)
                 AND NOT EXISTS (SELECT 1 FROM reserved_slot r WHERE r.brand_id = ?1 AND r.slot = u.wanted_slot)))
         ORDER BY u.detected_at, u.id LIMIT 1",
    )
    .bind(brand)
    .bind(free)
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| Ok((row.try_get("id")?, row.try_get("slot")?))).transpose()
}

/// Asks intake to look again at the files that were refused as copies of this one.
pub(super) async fn recheck_duplicates_of(tx: &mut Tx, id: i64) -> Result<()> {
    sqlx::query("UPDATE upload SET asked = asked + 1 WHERE duplicate_of = ?1 AND state = 'rejected'")
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
