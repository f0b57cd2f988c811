//! The outbox of alerts: refusals, brands whose waiting files are all uploaded, notices, and the daily summary, and how far
//! each channel has delivered them. It is kept in the database, so that neither a restart nor a clock that is set loses any
//! or delivers one twice. A crash between the sending of a message and its commit sends that message twice.
//!
//! Of a summary the local date is kept. A clock that was set back sends none again until it has passed that date, unless it
//! was more than a day ahead: then that date is from another clock, and counts for nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::{QueryBuilder, Row};

use super::Ledger;
use super::error::Result;
use super::report::{Report, StatusRow, SummaryRow};
use super::session::Tx;
use crate::domain::clock::rfc3339;
use crate::domain::notice::NoticeName;
use crate::domain::upload::State;

/// So many files, and so many brands, are named; the rest are counted.
const NAMED: u32 = 5;

const OTHER_CHANNELS: &str = "DELETE FROM alert_channel WHERE channel NOT IN (";

const ADD_CHANNEL: &str = "
    INSERT INTO alert_channel (channel, delivered_up_to) VALUES ($1, (SELECT coalesce(max(id), 0) FROM alert))
    ON CONFLICT DO NOTHING";

/// The summaries of the days up to this one are none of a new channel's. Without summaries none is remembered.
const FIRST_SUMMARY: &str = "
    UPDATE alert_channel SET summary_of = CASE WHEN $1 IS NULL THEN NULL ELSE coalesce(summary_of, $1) END";

const DELIVERED: &str = "UPDATE alert_channel SET delivered_up_to = $2, sent_at = $3, summary_of = coalesce($4, summary_of) WHERE channel = $1";
const SKIP: &str = "UPDATE alert_channel SET delivered_up_to = $2 WHERE channel = $1";
const FORGET_NOTICES: &str = "DELETE FROM delivered_notice WHERE channel = $1";
const NOTICE: &str = "INSERT INTO delivered_notice (channel, name, message) VALUES ($1, $2, $3)";

const FORGET_REFUSALS: &str = "
    DELETE FROM alert WHERE id IN
        (SELECT id FROM alert
         WHERE id <= coalesce((SELECT min(delivered_up_to) FROM alert_channel), (SELECT max(id) FROM alert))
         ORDER BY id LIMIT $1)";

const CHANNEL: &str = "
    SELECT delivered_up_to, sent_at, summary_of, (SELECT coalesce(max(id), delivered_up_to) FROM alert) AS up_to
    FROM alert_channel WHERE channel = $1";

const NOTICES: &str = "SELECT name, message FROM delivered_notice WHERE channel = $1";

/// Files that are still refused as they were; what was mended meanwhile needs nobody any more.
pub(super) const COUNTS: &str = "
    SELECT u.state, count(DISTINCT u.id) AS n
    FROM alert r JOIN upload u ON u.id = r.upload_id AND u.state = r.state
    WHERE r.id > $1 AND r.id <= $2 GROUP BY u.state";

pub(super) const FILES: &str = "
    SELECT * FROM upload_status WHERE id IN
        (SELECT u.id FROM alert r JOIN upload u ON u.id = r.upload_id AND u.state = r.state
         WHERE r.id > $1 AND r.id <= $2 ORDER BY r.id LIMIT $3)
    ORDER BY state, id";

/// Brands that have nothing left to send; those to which more came meanwhile are complete later.
pub(super) const COMPLETED: &str = "
    SELECT s.*, count(*) OVER () AS brands
    FROM brand b JOIN brand_summary s ON s.brand_type = b.type AND s.brand_id = b.record_id
    WHERE b.id IN (SELECT brand_id FROM alert WHERE id > $1 AND id <= $2 AND brand_id IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM upload u
                      WHERE u.brand_id = b.id AND u.state IN ('queued', 'uploading', 'retrying'))
    ORDER BY s.brand_type DESC, s.brand_id LIMIT $3";

pub(super) const UPLOADED_SINCE: &str =
    "SELECT count(*) FROM upload WHERE updated_at >= $1 AND uploaded_at >= $1";

/// What a channel has not delivered yet.
#[derive(Debug, Clone, Default)]
pub struct PendingAlerts {
    /// How many files the cloud refused that are refused still.
    pub failed: u64,
    /// How many we refused that are refused still.
    pub rejected: u64,
    /// The first of them.
    pub files: Vec<StatusRow>,
    /// How many brands have all their files uploaded that waited.
    pub completed: u64,
    /// The first of them.
    pub brands: Vec<SummaryRow>,
    /// After this row of the outbox,
    pub after: i64,
    /// up to that one.
    pub up_to: i64,
    /// The notices that it delivered last, by name.
    pub delivered: BTreeMap<NoticeName, String>,
    /// When it delivered anything last.
    pub sent_at: Option<Timestamp>,
    /// The local date of the daily summary that it delivered last.
    pub summary_of: Option<Date>,
}

impl Ledger {
    /// From now on alerts go to these channels and no others. A new one delivers nothing of what was before it, and no
    /// summary of `summary_of`, the latest day that could have one; `None`: there are no summaries.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_alert_channels(&self, channels: &[&str], summary_of: Option<Date>) -> Result<()> {
        let mut tx = self.begin().await?;
        let mut others = QueryBuilder::new(OTHER_CHANNELS);
        let mut list = others.separated(", ");
        for channel in channels {
            list.push_bind(*channel);
        }
        others.push(")");
        others.build().execute(&mut *tx).await?;
        for channel in channels {
            sqlx::query(ADD_CHANNEL).bind(*channel).execute(&mut *tx).await?;
        }
        let summary_of = summary_of.map(|date| date.to_string());
        sqlx::query(FIRST_SUMMARY).bind(summary_of).execute(&mut *tx).await?;
        self.commit(tx).await
    }

    /// A channel has delivered this, and that these notices stand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn alerts_delivered(
        &self,
        channel: &str,
        alerts: &PendingAlerts,
        standing: &BTreeMap<NoticeName, String>,
        summary_of: Option<Date>,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let query = sqlx::query(DELIVERED).bind(channel).bind(alerts.up_to).bind(self.now_text());
        query.bind(summary_of.map(|date| date.to_string())).execute(&mut *tx).await?;
        keep_notices(&mut tx, channel, standing).await?;
        self.commit(tx).await
    }

    /// What a channel had to deliver needs nobody any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn skip_alerts(
        &self,
        channel: &str,
        alerts: &PendingAlerts,
        standing: &BTreeMap<NoticeName, String>,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(SKIP).bind(channel).bind(alerts.up_to).execute(&mut *tx).await?;
        keep_notices(&mut tx, channel, standing).await?;
        self.commit(tx).await
    }

    /// Drops refusals that every channel has delivered; all, when there is no channel. Gives back how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_refusals(&self, batch: u32) -> Result<u64> {
        let mut tx = self.begin().await?;
        let result = sqlx::query(FORGET_REFUSALS).bind(batch).execute(&mut *tx).await?;
        self.commit(tx).await?;
        Ok(result.rows_affected())
    }
}

async fn keep_notices(tx: &mut Tx, channel: &str, standing: &BTreeMap<NoticeName, String>) -> Result<()> {
    sqlx::query(FORGET_NOTICES).bind(channel).execute(&mut **tx).await?;
    for (name, message) in standing {
        sqlx::query(NOTICE).bind(channel).bind(name.as_str()).bind(message).execute(&mut **tx).await?;
    }
    Ok(())
}

impl Report {
    /// What a channel has not delivered yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_alerts(&self, channel: &str) -> Result<PendingAlerts> {
        let mut alerts = PendingAlerts::default();
        let row = sqlx::query(CHANNEL).bind(channel).fetch_optional(self.pool()).await?;
        let Some(row) = row else { return Ok(alerts) };
        (alerts.after, alerts.up_to) = (row.try_get("delivered_up_to")?, row.try_get("up_to")?);
        alerts.sent_at = row.try_get::<Option<&str>, _>("sent_at")?.and_then(|time| time.parse().ok());
        alerts.summary_of = row.try_get::<Option<&str>, _>("summary_of")?.and_then(|date| date.parse().ok());
        for row in sqlx::query(NOTICES).bind(channel).fetch_all(self.pool()).await? {
            alerts.delivered.insert(row.try_get("name")?, row.try_get("message")?);
        }
        if alerts.up_to > alerts.after {
            self.read_refusals(&mut alerts).await?;
            self.read_completed(&mut alerts).await?;
        }
        Ok(alerts)
    }

    async fn read_refusals(&self, alerts: &mut PendingAlerts) -> Result<()> {
        let counts = sqlx::query(COUNTS).bind(alerts.after).bind(alerts.up_to);
        for row in counts.fetch_all(self.pool()).await? {
            let count = row.try_get::<i64, _>("n")?.unsigned_abs();
            match row.try_get("state")? {
                State::Failed => alerts.failed = count,
                _ => alerts.rejected = count,
            }
        }
        let files = sqlx::query(FILES).bind(alerts.after).bind(alerts.up_to).bind(NAMED);
        let rows = files.fetch_all(self.pool()).await?;
        alerts.files = rows.iter().map(StatusRow::read).collect::<Result<_>>()?;
        Ok(())
    }

    async fn read_completed(&self, alerts: &mut PendingAlerts) -> Result<()> {
        let brands = sqlx::query(COMPLETED).bind(alerts.after).bind(alerts.up_to).bind(NAMED);
        let rows = brands.fetch_all(self.pool()).await?;
        if let Some(row) = rows.first() {
            alerts.completed = row.try_get::<i64, _>("brands")?.unsigned_abs();
        }
        alerts.brands = rows.iter().map(SummaryRow::read).collect::<Result<_>>()?;
        Ok(())
    }

    /// How many files were uploaded since then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uploaded_since(&self, since: Timestamp) -> Result<u64> {
        let count: i64 =
            sqlx::query_scalar(UPLOADED_SINCE).bind(rfc3339(since)).fetch_one(self.pool()).await?;
        Ok(count.unsigned_abs())
    }
}

impl PendingAlerts {
    /// May its channel send something now, if it sends at most once in this time? A last time in the future comes from
    /// another clock.
    pub fn is_due(&self, now: Timestamp, at_most_once_in: std::time::Duration) -> bool {
        let since = self.sent_at.map(|sent| now.duration_since(sent).as_secs_f64());
        since.is_none_or(|since| since < 0.0 || since >= at_most_once_in.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_that_was_set_back_silences_nobody() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let alerts = |sent: i64| PendingAlerts {
            sent_at: Some(Timestamp::from_second(sent).unwrap()),
            ..PendingAlerts::default()
        };
        let minute = Duration::from_mins(1);
        assert!(PendingAlerts::default().is_due(now, minute));
        assert!(!alerts(1_699_999_990).is_due(now, minute));
        assert!(alerts(1_699_999_940).is_due(now, minute));
        assert!(alerts(1_800_000_000).is_due(now, minute));
    }
}
