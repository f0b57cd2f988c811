//! Figures at a glance: how many files there are in each state, how long the oldest waits, how large it all is.

use std::path::PathBuf;

use jiff::Timestamp;

use super::engine::{Engine, sql};
use super::error::{LedgerError, Result};
use super::report::Report;
use super::with_suffix;
use crate::domain::brand::BrandKey;
use crate::domain::upload::State;

pub(super) const COUNTS_OF_BRAND: &str =
    "SELECT state, count(*) AS n FROM upload WHERE brand_id = $1 GROUP BY state";

pub(super) const COUNTS: &str = "
    SELECT state, count(*) AS n FROM upload
    WHERE state IN ('queued', 'uploading', 'retrying', 'failed', 'rejected', 'gone') GROUP BY state
    UNION ALL SELECT 'total', count(*) FROM upload";

pub(super) const HELD: &str = "SELECT count(*) FROM upload WHERE held = 1";

pub(super) const OLDEST: &str = "
    SELECT state, min(wanted_since) AS since FROM upload
    WHERE inbox_id = $1 AND state IN ('queued', 'uploading', 'retrying') AND held = 0 GROUP BY state";

pub(super) const OUTLOOK: &str = "
    SELECT (SELECT count(*) FROM upload WHERE inbox_id = $1 AND state = 'queued' AND held = 0) AS queued,
        (SELECT count(*) FROM upload WHERE inbox_id = $1 AND lease_until IS NOT NULL) AS uploading,
        (SELECT min(next_attempt_at) FROM upload WHERE inbox_id = $1 AND turn IS NOT NULL) AS due";

const SIZE: &str = "SELECT pg_database_size(current_database())";

pub(super) const FILE: &str = "SELECT file FROM pragma_database_list WHERE name = 'main'";

/// How many files are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; State::ALL.len()]);

impl Counts {
    /// How many are in this state.
    pub fn of(&self, state: State) -> u64 {
        self.0[state as usize]
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those that are still to be sent.
    pub fn pending(&self) -> u64 {
        State::ALL.into_iter().filter(|state| state.is_pending()).map(|state| self.of(state)).sum()
    }

    fn set(&mut self, state: State, count: u64) {
        self.0[state as usize] = count;
    }
}

/// What is left to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// Files that wait for their turn.
    pub queued: u64,
    /// Files that are being sent.
    pub uploading: u64,
    /// When the next waiting or failed file is due.
    pub due: Option<Timestamp>,
}

impl Report {
    /// How many files are in each state, of one brand or of all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn counts(&self, brand: Option<BrandKey>) -> Result<Counts> {
        let rows = match brand {
            Some(brand) => {
                let Some((row, _)) = self.brand(brand).await? else { return Ok(Counts::default()) };
                sql(COUNTS_OF_BRAND).bind(row.id.0)
            }
            // to count all is cheap, to count the many uploaded ones is not
            None => sql(COUNTS),
        };
        let mut counts = Counts::default();
        let mut total = 0;
        for row in rows.all(self.pool()).await? {
            let count = row.get::<i64>("n")?.unsigned_abs();
            match row.get::<&str>("state")? {
                "total" => total = count,
                state => counts.set(state.parse().map_err(LedgerError::Corrupt)?, count),
            }
        }
        if brand.is_none() {
            counts.set(State::Uploaded, total - counts.total());
        }
        Ok(counts)
    }

    /// How many files are held since the database was rebuilt, until an operator decides.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held(&self) -> Result<u64> {
        let query = HELD;
        let count: i64 = sql(query).scalar(self.pool()).await?;
        Ok(count.unsigned_abs())
    }

    /// Since when the oldest file of each state that is still to be sent waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn oldest(&self) -> Result<Vec<(State, Timestamp)>> {
        let query = sql(OLDEST).bind(self.inbox().id.0);
        let mut oldest = Vec::new();
        for row in query.all(self.pool()).await? {
            let state: State = row.get("state")?;
            if let Some(since) = row.get::<Option<&str>>("since")? {
                oldest.push((state, since.parse().map_err(|_| LedgerError::Corrupt(since.into()))?));
            }
        }
        Ok(oldest)
    }

    /// What is left to send, as it stood at one moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outlook(&self) -> Result<Outlook> {
        // one statement sees one state of the table: a file that is claimed meanwhile is not overlooked
        let row = sql(OUTLOOK).bind(self.inbox().id.0).one(self.pool()).await?;
        let due: Option<String> = row.get("due")?;
        let due = due.map(|due| due.parse().map_err(|_| LedgerError::Corrupt(due))).transpose()?;
        let count = |column| -> Result<u64> { Ok(row.get::<i64>(column)?.unsigned_abs()) };
        Ok(Outlook { queued: count("queued")?, uploading: count("uploading")?, due })
    }

    /// How many bytes the database and its write-ahead log take.
    pub async fn sizes(&self) -> [(&'static str, u64); 2] {
        match self.pool().engine() {
            Engine::Sqlite => self.file_sizes().await,
            Engine::Postgres => {
                let size: i64 = sql(SIZE).scalar(self.pool()).await.unwrap_or_default();
                [("database", size.unsigned_abs()), ("wal", 0)]
            }
        }
    }

    async fn file_sizes(&self) -> [(&'static str, u64); 2] {
        let file: Option<String> = sql(FILE).scalar(self.pool()).await.ok();
        let path = PathBuf::from(file.unwrap_or_default());
        [("database", ""), ("wal", "-wal")].map(|(name, end)| {
            (name, std::fs::metadata(with_suffix(&path, end)).map_or(0, |file| file.len()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{alert_outbox, inboxes, upload_snapshots};

    /// A list of states that a statement repeats, and what it stands for.
    type List = (&'static str, &'static str, fn(State) -> bool);

    #[test]
    fn the_states_in_each_statement_are_those_that_the_code_means() {
        let may_change = |state| match state {
            State::Queued | State::Retrying | State::Failed | State::Rejected => true,
            State::Uploading | State::Uploaded | State::Gone => false,
        };
        let is_unsent = |state| match state {
            State::Uploaded | State::Gone => false,
            State::Queued | State::Uploading | State::Retrying | State::Failed | State::Rejected => true,
        };
        let lists: [List; 5] = [
            ("OLDEST", OLDEST, State::is_pending),
            ("COMPLETED", alert_outbox::COMPLETED, State::is_pending),
            ("UNSENT", inboxes::UNSENT, is_unsent),
            ("OPEN_BRANDS", upload_snapshots::OPEN_BRANDS, may_change),
            ("OPEN_BELOW", upload_snapshots::OPEN_BELOW, may_change),
        ];
        for (name, text, is_meant) in lists {
            for state in State::ALL {
                assert_eq!(text.contains(&format!("'{state}'")), is_meant(state), "{state} in {name}");
            }
        }
    }

    /// What is not listed would be taken for `uploaded`.
    #[test]
    fn every_other_state_is_counted_by_itself() {
        for state in State::ALL {
            assert_eq!(COUNTS.contains(&format!("'{state}'")), state != State::Uploaded, "{state}");
        }
    }
}
