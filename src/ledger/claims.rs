//! Claims: who may work on a file now, and until when.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::{LedgerError, Result};
use super::uploads::{path, stamp};
use super::{Ledger, attempts};
use crate::domain::brand::BrandKey;
use crate::domain::clock::{later, rfc3339};
use crate::domain::image::Format;
use crate::domain::upload::{Digests, Stamp};

/// The right and the knowledge to make one attempt.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The row.
    pub id: i64,
    /// Which claim this is: only its holder may end it.
    pub token: i64,
    /// Whose file it is.
    pub brand: BrandKey,
    /// The whole path.
    pub path: PathBuf,
    /// The API's `index`.
    pub slot: u32,
    /// What the bytes are.
    pub format: Format,
    /// The file as it was inspected.
    pub stamp: Stamp,
    /// Its checksums.
    pub digests: Digests,
    /// Which content of this path it is.
    pub revision: u32,
    /// Since when the file is to be sent.
    pub wanted_since: Option<jiff::Timestamp>,
    /// How many attempts counted before this one.
    pub attempts: u32,
    /// The number of this attempt in the log.
    pub number: u32,
}

/// Which of the files that are due is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimOrder {
    /// One of each brand in turns; in each round the one that has been due for longest, and every other time the one
    /// that came last: it does not wait for thousands that were there before.
    InTurn,
    /// The one that was tried least: a probe must not be the same file again and again, which may fail for a
    /// reason of its own.
    LeastTried,
    /// As `LeastTried`, and of any brand but this one.
    LeastTriedBut(BrandKey),
}

impl ClaimOrder {
    /// The brand that is left out, as type and record.
    fn but(self) -> (Option<&'static str>, Option<i64>) {
        match self {
            ClaimOrder::LeastTriedBut(brand) => (Some(brand.kind().as_str()), Some(brand.record())),
            ClaimOrder::InTurn | ClaimOrder::LeastTried => (None, None),
        }
    }
}

macro_rules! claim_by {
    ($index:literal, $order:literal) => {
        concat!(
            "UPDATE upload SET state = 'uploading', object_sha256 = NULL, claim = ?4, lease_until = ?3, next_attempt_at = NULL,
                    tries = tries + 1, updated_at = ?1
             WHERE id = (SELECT id FROM upload INDEXED BY ",
            $index,
            " WHERE state IN ('queued', 'retrying') AND held = 0
                           AND (next_attempt_at <= ?1 OR next_attempt_at > ?2)
                           AND brand_id IS NOT (SELECT id FROM brand WHERE type = ?5 AND record_id = ?6)
                           AND NOT EXISTS (SELECT 1 FROM notice WHERE name = 'suspended')
                         ORDER BY ",
            $order,
            " LIMIT 1)
             RETURNING *, (SELECT type || '/' || record_id FROM brand WHERE id = brand_id) AS brand"
        )
    };
}

impl Ledger {
    /// Is any file due, and may it be sent? A due time further away than `horizon` can only come from a clock that jumped, so
    /// it counts as due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_due(&self, order: ClaimOrder, horizon: Duration) -> Result<bool> {
        let mut connection = self.report().connection().await?;
        let due = sqlx::query_scalar::<_, i64>(
            "SELECT (EXISTS (SELECT 1 FROM upload INDEXED BY upload_due WHERE state IN ('queued', 'retrying') AND held = 0
                             AND next_attempt_at <= ?1 AND brand_id IS NOT (SELECT id FROM brand WHERE type = ?3 AND record_id = ?4))
                  OR EXISTS (SELECT 1 FROM upload INDEXED BY upload_due WHERE state IN ('queued', 'retrying') AND held = 0
                             AND next_attempt_at > ?2 AND brand_id IS NOT (SELECT id FROM brand WHERE type = ?3 AND record_id = ?4)))
                AND NOT EXISTS (SELECT 1 FROM notice WHERE name = 'suspended')",
        )
        .bind(self.now_text())
        .bind(rfc3339(later(self.now(), horizon)))
        .bind(order.but().0)
        .bind(order.but().1)
        .fetch_one(&mut *connection)
        .await?;
        Ok(due != 0)
    }

    /// Claims the next file and opens its attempt in the log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(
        &self,
        order: ClaimOrder,
        lease: Duration,
        horizon: Duration,
    ) -> Result<Option<Claim>> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let newest = self.claims.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        let row = sqlx::query(match order {
            ClaimOrder::InTurn if newest => claim_by!("upload_newest", "turn, ctime_ns DESC, id"),
            ClaimOrder::InTurn => claim_by!("upload_turn", "turn, next_attempt_at, id"),
            ClaimOrder::LeastTried | ClaimOrder::LeastTriedBut(_) => {
                claim_by!("upload_turn", "tries, turn, next_attempt_at, id")
            }
        })
        .bind(rfc3339(now))
        .bind(rfc3339(later(now, horizon)))
        .bind(rfc3339(later(now, lease)))
        .bind(fastrand::i64(1..))
        .bind(order.but().0)
        .bind(order.but().1)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(claim) = row.as_ref().map(claimed).transpose()? else {
            return Ok(None);
        };
        attempts::open(&mut tx, claim.id, claim.number, &rfc3339(now)).await?;
        self.commit(tx).await?;
        Ok(Some(claim))
    }

    /// Makes every waiting file due now: the clock that its due time was told by is not the one that runs now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn make_all_due(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE upload SET next_attempt_at = ?1 WHERE state IN ('queued', 'retrying')")
            .bind(self.now_text())
            .execute(&mut *tx)
            .await?;
        self.commit(tx).await
    }

    /// Puts off the end of leases that are still worked on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn extend_leases(&self, tokens: &[i64], lease: Duration) -> Result<()> {
        if tokens.is_empty() {
            return Ok(());
        }
        let tokens = serde_json::to_string(tokens).unwrap_or_default();
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE upload SET lease_until = ?1
             WHERE state = 'uploading' AND claim IN (SELECT value FROM json_each(?2))",
        )
        .bind(rfc3339(later(self.now(), lease)))
        .bind(tokens)
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await
    }

    /// Puts files back into the queue (their bytes may have arrived) whose holder is gone: at start all claimed ones, later those whose
    /// lease ran out. Returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reclaim(&self, all: bool) -> Result<u64> {
        let now = self.now_text();
        let mut tx = self.begin().await?;
        let ids: Vec<i64> = sqlx::query_scalar(
            "UPDATE upload SET state = 'queued', claim = NULL, lease_until = NULL, next_attempt_at = ?1,
                    updated_at = ?1, sent = 1, error_kind = NULL, error_code = NULL, error_message = NULL
             WHERE state = 'uploading' AND (?2 OR lease_until < ?1) RETURNING id",
        )
        .bind(&now)
        .bind(all)
        .fetch_all(&mut *tx)
        .await?;
        for id in &ids {
            attempts::interrupt(&mut tx, *id, &now).await?;
        }
        if ids.is_empty() {
            return Ok(0);
        }
        self.commit(tx).await?;
        Ok(ids.len() as u64)
    }
}

fn claimed(row: &SqliteRow) -> Result<Claim> {
    let text = |column| -> Result<String> { Ok(row.try_get(column)?) };
    let unknown = |what: String| LedgerError::Corrupt(what);
    let suffix = text("suffix")?;
    Ok(Claim {
        id: row.try_get("id")?,
        token: row.try_get("claim")?,
        brand: text("brand")?.parse().map_err(|error| unknown(format!("{error}")))?,
        path: path(row)?,
        slot: row.try_get("slot")?,
        format: Format::from_suffix(&suffix).ok_or_else(|| unknown(suffix))?,
        stamp: stamp(row)?,
        digests: Digests {
            sha256: text("sha256")?,
            md5: text("md5")?,
            crc64: text("crc64")?.parse().map_err(|error| unknown(format!("crc64: {error}")))?,
        },
        revision: row.try_get("revision")?,
        wanted_since: row.try_get::<Option<&str>, _>("wanted_since")?.and_then(|since| since.parse().ok()),
        attempts: row.try_get("attempts")?,
        number: row.try_get("tries")?,
    })
}
