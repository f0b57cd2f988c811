//! What is to be told to people: refusals and notices, and how far each way of telling has come. It stands in the
//! table, so that neither a restart nor a clock that is set loses any or tells one twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row;

use super::Ledger;
use super::error::Result;
use super::report::{Report, StatusRow};

/// So many files are named; the rest are counted.
const NAMED: u32 = 5;

/// What one way has not told yet.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// How many files the cloud refused, and how many we refused, that are refused still.
    pub failed: u64,
    /// As above.
    pub rejected: u64,
    /// The first of them.
    pub files: Vec<StatusRow>,
    /// After this refusal, up to that one.
    pub after: i64,
    /// As above.
    pub upto: i64,
    /// The notices that it told last, by name.
    pub told: BTreeMap<String, String>,
    /// When it told anything last.
    pub sent_at: Option<Timestamp>,
}

impl Ledger {
    /// From now on alerts go these ways and no others. A way that is new tells nothing of what was before it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_ways(&self, ways: &[&str]) -> Result<()> {
        let mut tx = self.begin().await?;
        let ways = serde_json::to_string(ways).unwrap_or_default();
        for sql in [
            "DELETE FROM alert_way WHERE way NOT IN (SELECT value FROM json_each(?1))",
            "INSERT INTO alert_way (way, told)
             SELECT value, (SELECT coalesce(max(id), 0) FROM refusal) FROM json_each(?1) WHERE true
             ON CONFLICT DO NOTHING",
        ] {
            sqlx::query(sql).bind(&ways).execute(&mut *tx).await?;
        }
        self.commit(tx).await
    }

    /// One way has told this, and that these notices stand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn told(&self, way: &str, news: &News, standing: &BTreeMap<String, String>) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE alert_way SET told = ?2, sent_at = ?3 WHERE way = ?1")
            .bind(way)
            .bind(news.upto)
            .bind(self.now_text())
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM told_notice WHERE way = ?1").bind(way).execute(&mut *tx).await?;
        for (name, message) in standing {
            sqlx::query("INSERT INTO told_notice (way, name, message) VALUES (?1, ?2, ?3)")
                .bind(way)
                .bind(name)
                .bind(message)
                .execute(&mut *tx)
                .await?;
        }
        self.commit(tx).await
    }

    /// What one way had to tell needs nobody any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pass_over(&self, way: &str, news: &News) -> Result<()> {
        let mut tx = self.begin().await?;
        let query = sqlx::query("UPDATE alert_way SET told = ?2 WHERE way = ?1").bind(way).bind(news.upto);
        query.execute(&mut *tx).await?;
        self.commit(tx).await
    }

    /// Drops refusals that every way has told; all, when there is no way. Returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_refusals(&self, batch: u32) -> Result<u64> {
        let mut tx = self.begin().await?;
        let result = sqlx::query(
            "DELETE FROM refusal WHERE id IN
                 (SELECT id FROM refusal
                  WHERE id <= coalesce((SELECT min(told) FROM alert_way), (SELECT max(id) FROM refusal))
                  ORDER BY id LIMIT ?1)",
        )
        .bind(batch)
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await?;
        Ok(result.rows_affected())
    }
}

impl Report {
    /// What a way has not told yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn news(&self, way: &str) -> Result<News> {
        let mut news = News::default();
        let far = sqlx::query(
            "SELECT told, sent_at, (SELECT coalesce(max(id), told) FROM refusal) AS upto FROM alert_way WHERE way = ?1",
        );
        let Some(far) = far.bind(way).fetch_optional(self.pool()).await? else { return Ok(news) };
        let told: i64 = far.try_get("told")?;
        (news.after, news.upto) = (told, far.try_get("upto")?);
        news.sent_at = far.try_get::<Option<&str>, _>("sent_at")?.and_then(|time| time.parse().ok());
        let notices = sqlx::query("SELECT name, message FROM told_notice WHERE way = ?1").bind(way);
        for row in notices.fetch_all(self.pool()).await? {
            news.told.insert(row.try_get("name")?, row.try_get("message")?);
        }
        if news.upto == told {
            return Ok(news);
        }
        // what was mended meanwhile needs nobody any more
        let counts = sqlx::query(
            "SELECT u.state, count(DISTINCT u.id) AS n FROM refusal r JOIN upload u ON u.id = r.upload_id AND u.state = r.state
             WHERE r.id > ?1 AND r.id <= ?2 GROUP BY u.state",
        );
        for row in counts.bind(told).bind(news.upto).fetch_all(self.pool()).await? {
            let count = row.try_get::<i64, _>("n")?.unsigned_abs();
            match row.try_get::<&str, _>("state")? {
                "failed" => news.failed = count,
                _ => news.rejected = count,
            }
        }
        let files = sqlx::query(
            "SELECT * FROM upload_status WHERE id IN
                 (SELECT u.id FROM refusal r JOIN upload u ON u.id = r.upload_id AND u.state = r.state
                  WHERE r.id > ?1 AND r.id <= ?2 ORDER BY r.id LIMIT ?3)
             ORDER BY state, id",
        );
        let rows = files.bind(told).bind(news.upto).bind(NAMED).fetch_all(self.pool()).await?;
        news.files = rows.iter().map(StatusRow::read).collect::<Result<_>>()?;
        Ok(news)
    }
}

impl News {
    /// May its way tell something now, if it tells no more than once in this time? A last time that lies in the
    /// future was told by another clock.
    pub fn may_be_told(&self, now: Timestamp, at_most_once_in: std::time::Duration) -> bool {
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
        let news =
            |sent: i64| News { sent_at: Some(Timestamp::from_second(sent).unwrap()), ..News::default() };
        let minute = Duration::from_mins(1);
        assert!(News::default().may_be_told(now, minute));
        assert!(!news(1_699_999_990).may_be_told(now, minute));
        assert!(news(1_699_999_940).may_be_told(now, minute));
        assert!(news(1_800_000_000).may_be_told(now, minute));
    }
}
