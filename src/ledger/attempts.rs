//! Attempts: each claim opens one, and exactly one step ends it together with the state of its file.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row;

use super::Tx;
use super::claims::Claim;
use super::error::{LedgerError, Result};
use super::{Ledger, slots};
use crate::domain::clock::rfc3339;
use crate::domain::failure::Failure;

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum AttemptEnd {
    /// The object is on OSS, its checksums are right.
    Uploaded {
        /// Where, without any query.
        object_url: String,
        /// As OSS gave it, without quotes.
        etag: String,
        /// OSS's id of the request.
        request_id: Option<String>,
        /// How many bytes were sent.
        bytes: u64,
        /// Intake has something left to do: the file changed meanwhile, or is to be tidied away.
        recheck: bool,
    },
    /// It failed in passing and is due again.
    Retry {
        /// Why.
        failure: Failure,
        /// When.
        due: Timestamp,
        /// Intake is to look at the file.
        recheck: bool,
        /// Its bytes may have arrived, whatever we know.
        sent: bool,
    },
    /// The cloud refuses the file, or it was the last try.
    Failed {
        /// Why.
        failure: Failure,
        /// Its bytes may have arrived, whatever we know.
        sent: bool,
    },
}

impl AttemptEnd {
    fn outcome(&self) -> &'static str {
        match self {
            AttemptEnd::Uploaded { .. } => "uploaded",
            AttemptEnd::Retry { .. } => "retrying",
            AttemptEnd::Failed { .. } => "failed",
        }
    }

    fn failure(&self) -> Option<&Failure> {
        match self {
            AttemptEnd::Retry { failure, .. } | AttemptEnd::Failed { failure, .. } => Some(failure),
            AttemptEnd::Uploaded { .. } => None,
        }
    }

    fn counts(&self) -> bool {
        match self {
            AttemptEnd::Uploaded { .. } => true,
            AttemptEnd::Retry { failure, .. } | AttemptEnd::Failed { failure, .. } => {
                failure.kind.counts_as_attempt()
            }
        }
    }
}

impl Ledger {
    /// Ends a claim: the file's state, its attempt, and what follows for others, in one transaction.
    ///
    /// # Errors
    /// `Conflict` when the claim is no longer ours; otherwise when the database fails.
    pub async fn finish(&self, claim: &Claim, finish: &AttemptEnd, took: Duration) -> Result<()> {
        let now = self.now_text();
        let mut tx = self.begin().await?;
        let brand = end_claim(&mut tx, claim, finish, &now).await?;
        close(&mut tx, claim, finish, took, &now).await?;
        if matches!(finish, AttemptEnd::Failed { .. }) {
            slots::recheck_duplicates_of(&mut tx, claim.id).await?;
            slots::promote(&mut tx, brand, &now).await?;
        }
        self.commit(tx).await
    }

    /// How many of the last attempts of a file ended with just this error.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn streak(&self, claim: &Claim, failure: &Failure) -> Result<u32> {
        let mut connection = self.report().connection().await?;
        let rows = sqlx::query(
            "SELECT error_kind IS ?2 AND error_code IS ?3 AS same FROM attempt
             WHERE upload_id = ?1 AND outcome IS NOT NULL ORDER BY attempt DESC LIMIT 20",
        )
        .bind(claim.id)
        .bind(failure.kind.as_str())
        .bind(failure.code.as_deref())
        .fetch_all(&mut *connection)
        .await?;
        let mut streak = 0;
        for row in rows {
            if !row.try_get::<bool, _>("same")? {
                break;
            }
            streak += 1;
        }
        Ok(streak)
    }

    /// Drops attempts that ended before `before`, a batch at a time. Returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_attempts(&self, before: Timestamp, batch: u32) -> Result<u64> {
        let mut tx = self.begin().await?;
        let result = sqlx::query(
            "DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE finished_at < ?1 LIMIT ?2)",
        )
        .bind(rfc3339(before))
        .bind(batch)
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await?;
        Ok(result.rows_affected())
    }
}

/// The state's side. Returns the brand's row. Exactly one row must be ours to change.
async fn end_claim(tx: &mut Tx, claim: &Claim, finish: &AttemptEnd, now: &str) -> Result<i64> {
    let (failure, counts) = (finish.failure(), finish.counts());
    let (state, due, recheck) = match finish {
        AttemptEnd::Uploaded { recheck, .. } => ("uploaded", None, *recheck),
        AttemptEnd::Retry { due, recheck, .. } => ("retrying", Some(rfc3339(*due)), *recheck),
        AttemptEnd::Failed { .. } => ("failed", None, false),
    };
    let row = sqlx::query(
        "UPDATE upload SET state = ?3, claim = NULL, lease_until = NULL, next_attempt_at = ?4, updated_at = ?5,
                attempts = attempts + ?6, asked = asked + ?7,
                error_kind = ?8, error_code = ?9, error_message = ?10,
                request_id = iif(?8 IS NULL, request_id, ?11),
                sent = max(sent, ?12), object_sha256 = iif(?3 = 'uploaded', sha256, NULL), slot = iif(?3 = 'failed' AND max(sent, ?12) = 0, NULL, slot)
         WHERE id = ?1 AND claim = ?2 AND state = 'uploading' RETURNING brand_id",
    )
    .bind(claim.id)
    .bind(claim.token)
    .bind(state)
    .bind(due)
    .bind(now)
    .bind(i64::from(counts))
    .bind(recheck)
    .bind(failure.map(|failure| failure.kind.as_str()))
    .bind(failure.and_then(|failure| failure.code.as_deref()))
    .bind(failure.map(|failure| failure.message.as_str()))
    .bind(failure.and_then(|failure| failure.request_id.as_deref()))
    .bind(matches!(finish, AttemptEnd::Uploaded { .. } | AttemptEnd::Retry { sent: true, .. } | AttemptEnd::Failed { sent: true, .. }));
    let row = match finish {
        // uploaded_at must stand before the state may say so
        AttemptEnd::Uploaded { object_url, etag, request_id, .. } => {
            mark_uploaded(tx, claim, object_url, etag, request_id.as_deref(), now).await?;
            row.fetch_optional(&mut **tx).await?
        }
        _ => row.fetch_optional(&mut **tx).await?,
    };
    let row = row.ok_or(LedgerError::Conflict { id: claim.id, step: "end of an attempt" })?;
    let brand = row.try_get("brand_id")?;
    if matches!(finish, AttemptEnd::Retry { .. }) {
        // it goes behind those that wait for their first turn
        let turn = slots::next_turn(tx, brand).await?;
        sqlx::query("UPDATE upload SET turn = ?2 WHERE id = ?1")
            .bind(claim.id)
            .bind(turn)
            .execute(&mut **tx)
            .await?;
    }
    Ok(brand)
}

async fn mark_uploaded(
    tx: &mut Tx,
    claim: &Claim,
    object_url: &str,
    etag: &str,
    request_id: Option<&str>,
    now: &str,
) -> Result<()> {
    sqlx::query(
        "UPDATE upload SET object_url = ?3, etag = ?4, request_id = ?5, uploaded_at = ?6 WHERE id = ?1 AND claim = ?2",
    )
    .bind(claim.id)
    .bind(claim.token)
    .bind(object_url)
    .bind(etag)
    .bind(request_id)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Opens attempt `number` of a file.
pub(super) async fn open(tx: &mut Tx, upload: i64, number: u32, now: &str) -> Result<()> {
    sqlx::query("INSERT INTO attempt (upload_id, attempt, started_at) VALUES (?1, ?2, ?3)")
        .bind(upload)
        .bind(number)
        .bind(now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Ends an attempt that nobody works on any more.
pub(super) async fn interrupt(tx: &mut Tx, upload: i64, now: &str) -> Result<()> {
    sqlx::query("UPDATE attempt SET finished_at = ?2, outcome = 'interrupted' WHERE upload_id = ?1 AND outcome IS NULL")
        .bind(upload)
        .bind(now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn close(tx: &mut Tx, claim: &Claim, finish: &AttemptEnd, took: Duration, now: &str) -> Result<()> {
    let failure = finish.failure();
    let (request_id, bytes) = match finish {
        AttemptEnd::Uploaded { request_id, bytes, .. } => (request_id.as_deref(), Some(bytes.cast_signed())),
        _ => (failure.and_then(|failure| failure.request_id.as_deref()), None),
    };
    sqlx::query(
        "UPDATE attempt SET finished_at = ?3, outcome = ?4, error_kind = ?5, error_code = ?6, error_message = ?7,
                request_id = ?8, bytes = ?9, millis = ?10
         WHERE upload_id = ?1 AND attempt = ?2",
    )
    .bind(claim.id)
    .bind(claim.number)
    .bind(now)
    .bind(finish.outcome())
    .bind(failure.map(|failure| failure.kind.as_str()))
    .bind(failure.and_then(|failure| failure.code.as_deref()))
    .bind(failure.map(|failure| failure.message.as_str()))
    .bind(request_id)
    .bind(bytes)
    .bind(i64::try_from(took.as_millis()).unwrap_or(i64::MAX))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
