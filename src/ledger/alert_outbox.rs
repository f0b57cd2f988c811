//! The outbox of alerts: refusals, brands whose waiting files are all uploaded, notices, and the daily summary, and how far
//! each channel has delivered them. It is kept in the database, so that neither a restart nor a clock that is set loses any
//! or delivers one twice. A crash between the sending of a message and its commit sends that message twice.
//!
//! Of a summary the local date is kept. A clock that was set back sends none again until it has passed that date, unless it
//! was more than a day ahead: then that date is from another clock, and counts for nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::Ledger;
use super::engine::{Tx, sql};
use super::error::Result;
use super::report::{Report, StatusRow, SummaryRow};
use crate::domain::clock::rfc3339;
use crate::domain::notice::NoticeName;
use crate::domain::upload::State;

/// So many files, and so many brands, are named; the rest are counted.
const NAMED: u32 = 5;

const OTHER_CHANNELS: &str = "DELETE FROM alert_channel WHERE inbox_id = $1 AND channel NOT IN (";

pub(super) const ADD_CHANNEL: &str = "
    INSERT INTO alert_channel (inbox_id, channel, delivered_up_to)
    VALUES ($1, $2, (SELECT coalesce(max(id), 0) FROM alert)) ON CONFLICT DO NOTHING";

/// The summaries of the days up to this one are none of a new channel's. Without summaries none is remembered.
const FIRST_SUMMARY: &str = "
    UPDATE alert_channel SET summary_of = CASE WHEN $2 IS NULL THEN NULL ELSE coalesce(summary_of, $2) END
    WHERE inbox_id = $1";

const DELIVERED: &str = "
    UPDATE alert_channel SET delivered_up_to = $3, sent_at = $4, summary_of = coalesce($5, summary_of)
    WHERE inbox_id = $1 AND channel = $2";
const SKIP: &str = "UPDATE alert_channel SET delivered_up_to = $3 WHERE inbox_id = $1 AND channel = $2";
const FORGET_NOTICES: &str = "DELETE FROM delivered_notice WHERE inbox_id = $1 AND channel = $2";
const NOTICE: &str =
    "INSERT INTO delivered_notice (inbox_id, channel, name, message) VALUES ($1, $2, $3, $4)";

pub(super) const FORGET_DELIVERED: &str = "
    DELETE FROM alert WHERE id IN
        (SELECT id FROM alert
         WHERE inbox_id = $1 AND id <= coalesce((SELECT min(delivered_up_to) FROM alert_channel WHERE inbox_id = $1),
                                                (SELECT max(id) FROM alert))
         ORDER BY id LIMIT $2)";

pub(super) const CHANNEL: &str = "
    SELECT c.delivered_up_to, c.sent_at, c.summary_of,
           coalesce((SELECT max(id) FROM alert WHERE inbox_id = $1), c.delivered_up_to) AS up_to
    FROM alert_channel c WHERE c.inbox_id = $1 AND c.channel = $2";

const NOTICES: &str = "SELECT name, message FROM delivered_notice WHERE inbox_id = $1 AND channel = $2";

/// Files that are still refused as they were; what was mended meanwhile needs nobody any more.
pub(super) const COUNTS: &str = "
    SELECT u.state, count(DISTINCT u.id) AS n
    FROM alert a JOIN upload u ON u.id = a.upload_id AND u.state = a.state
    WHERE a.inbox_id = $1 AND a.id > $2 AND a.id <= $3 GROUP BY u.state";

pub(super) const FILES: &str = "
    SELECT * FROM upload_status WHERE id IN
        (SELECT u.id FROM alert a JOIN upload u ON u.id = a.upload_id AND u.state = a.state
         WHERE a.inbox_id = $1 AND a.id > $2 AND a.id <= $3 ORDER BY a.id LIMIT $4)
    ORDER BY state, id";

/// Brands that have nothing left to send; those to which more came meanwhile are complete later.
pub(super) const COMPLETED: &str = "
    SELECT s.*, count(*) OVER () AS brands
    FROM brand b JOIN brand_summary s ON s.brand_type = b.type AND s.brand_id = b.record_id
    WHERE b.id IN (SELECT brand_id FROM alert WHERE inbox_id = $1 AND id > $2 AND id <= $3 AND brand_id IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM upload u
                      WHERE u.brand_id = b.id AND u.state IN ('queued', 'uploading', 'retrying'))
    ORDER BY s.brand_type DESC, s.brand_id LIMIT $4";

pub(super) const UPLOADED_SINCE: &str =
    "SELECT count(*) FROM upload WHERE inbox_id = $1 AND updated_at >= $2 AND uploaded_at >= $2";

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
        let inbox = self.inbox_id();
        let mut others = sql(OTHER_CHANNELS).bind(inbox);
        // no channel has no name, and a list must have something in it
        others.push_list(channels.iter().copied().chain([""])).push(")");
        others.execute(&mut tx).await?;
        for channel in channels {
            sql(ADD_CHANNEL).bind(inbox).bind(*channel).execute(&mut tx).await?;
        }
        let summary_of = summary_of.map(|date| date.to_string());
        sql(FIRST_SUMMARY).bind(inbox).bind(summary_of).execute(&mut tx).await?;
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
        let query =
            sql(DELIVERED).bind(self.inbox_id()).bind(channel).bind(alerts.up_to).bind(self.now_text());
        query.bind(summary_of.map(|date| date.to_string())).execute(&mut tx).await?;
        keep_notices(&mut tx, self.inbox_id(), channel, standing).await?;
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
        sql(SKIP).bind(self.inbox_id()).bind(channel).bind(alerts.up_to).execute(&mut tx).await?;
        keep_notices(&mut tx, self.inbox_id(), channel, standing).await?;
        self.commit(tx).await
    }

    /// Drops alerts that every channel has delivered; all, when there is no channel. Gives back how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_delivered(&self, batch: u32) -> Result<u64> {
        let mut tx = self.begin().await?;
        let result = sql(FORGET_DELIVERED).bind(self.inbox_id()).bind(batch).execute(&mut tx).await?;
        self.commit(tx).await?;
        Ok(result)
    }
}

async fn keep_notices(
    tx: &mut Tx,
    inbox: i64,
    channel: &str,
    standing: &BTreeMap<NoticeName, String>,
) -> Result<()> {
    sql(FORGET_NOTICES).bind(inbox).bind(channel).execute(&mut *tx).await?;
    for (name, message) in standing {
        sql(NOTICE).bind(inbox).bind(channel).bind(name.as_str()).bind(message).execute(&mut *tx).await?;
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
        let row = sql(CHANNEL).bind(self.inbox().id.0).bind(channel).optional(self.pool()).await?;
        let Some(row) = row else { return Ok(alerts) };
        (alerts.after, alerts.up_to) = (row.get("delivered_up_to")?, row.get("up_to")?);
        alerts.sent_at = row.get::<Option<&str>>("sent_at")?.and_then(|time| time.parse().ok());
        alerts.summary_of = row.get::<Option<&str>>("summary_of")?.and_then(|date| date.parse().ok());
        for row in sql(NOTICES).bind(self.inbox().id.0).bind(channel).all(self.pool()).await? {
            alerts.delivered.insert(row.get("name")?, row.get("message")?);
        }
        if alerts.up_to > alerts.after {
            self.read_refusals(&mut alerts).await?;
            self.read_completed(&mut alerts).await?;
        }
        Ok(alerts)
    }

    async fn read_refusals(&self, alerts: &mut PendingAlerts) -> Result<()> {
        let counts = sql(COUNTS).bind(self.inbox().id.0).bind(alerts.after).bind(alerts.up_to);
        for row in counts.all(self.pool()).await? {
            let count = row.get::<i64>("n")?.unsigned_abs();
            match row.get("state")? {
                State::Failed => alerts.failed = count,
                State::Rejected => alerts.rejected = count,
                // no alert is about them
                State::Queued | State::Uploading | State::Retrying | State::Uploaded | State::Gone => {}
            }
        }
        let files = sql(FILES).bind(self.inbox().id.0).bind(alerts.after).bind(alerts.up_to).bind(NAMED);
        let rows = files.all(self.pool()).await?;
        alerts.files = rows.iter().map(StatusRow::read).collect::<Result<_>>()?;
        Ok(())
    }

    async fn read_completed(&self, alerts: &mut PendingAlerts) -> Result<()> {
        let brands = sql(COMPLETED).bind(self.inbox().id.0).bind(alerts.after).bind(alerts.up_to).bind(NAMED);
        let rows = brands.all(self.pool()).await?;
        if let Some(row) = rows.first() {
            alerts.completed = row.get::<i64>("brands")?.unsigned_abs();
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
            sql(UPLOADED_SINCE).bind(self.inbox().id.0).bind(rfc3339(since)).scalar(self.pool()).await?;
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
