//! The queue: which files are due, in whose turn, and until when they are claimed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::engine::{Engine, Row, Statement, sql};
use super::error::{LedgerError, Result};
use super::{Ledger, Report};
use crate::domain::brand::{BrandId, UploadId};
use crate::domain::clock::{later, rfc3339};

/// Files that are due and may be sent. A due time further away than `$2` can only come from a clock that jumped, so
/// it counts as due. `$4`: the inbox. `Upload::is_due` has the say when it is claimed: if this proposes what that
/// refuses, it is proposed again and again.
macro_rules! candidates {
    ($of:literal, $order:literal, $limit:literal) => {
        concat!(
            "SELECT id, brand_id, turn, tries, next_attempt_at FROM upload
             WHERE inbox_id = $4 AND turn IS NOT NULL AND (next_attempt_at <= $1 OR next_attempt_at > $2)
               AND NOT EXISTS (SELECT 1 FROM notice WHERE name = 'suspended')",
            $of,
            " ORDER BY ",
            $order,
            " LIMIT ",
            $limit
        )
    };
}

/// In turns, and in each round the one that has been due for longest.
pub(super) const IN_TURN: &str = candidates!("", "turn, next_attempt_at, id", "$3");

/// In turns, and in each round the one that came last.
pub(super) const NEWEST: &str = candidates!("", "turn, ctime_ns DESC, id", "$3");

/// The one that was tried least, among those whose turn is next: to compare all of a hundred thousand takes 0.1 s. Which
/// brands are left out says the engine: they are left out first, so that none of them hides others.
macro_rules! least_tried {
    ($of:literal) => {
        concat!(
            "SELECT id, brand_id, turn FROM (",
            candidates!($of, "turn, next_attempt_at, id", "64"),
            ") AS next ORDER BY tries, turn, next_attempt_at, id LIMIT $3"
        )
    };
}

/// `$5`: not of these brands, a list in JSON.
pub(super) const LEAST_TRIED: &str = least_tried!(" AND brand_id NOT IN (SELECT value FROM json_each($5))");

const LEAST_TRIED_POSTGRES: &str =
    least_tried!(" AND brand_id NOT IN (SELECT jsonb_array_elements_text($5::jsonb)::bigint)");

pub(super) const NEXT_DUE: &str = "
    SELECT min(next_attempt_at) FROM upload
    WHERE inbox_id = $1 AND turn IS NOT NULL AND NOT EXISTS (SELECT 1 FROM notice WHERE name = 'suspended')";

/// A file that may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its row.
    pub id: UploadId,
    /// The row of its brand.
    pub(super) brand: BrandId,
}

impl Candidate {
    /// From a row with `id` and `brand_id`.
    pub(super) fn read(row: &Row) -> Result<Self> {
        Ok(Self { id: row.get("id")?, brand: BrandId(row.get("brand_id")?) })
    }
}

/// Which of the files that are due are claimed first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOrder {
    /// One of each brand in turns; in each round the one that has been due for longest, and every other time the one
    /// that came last: it does not wait for thousands that were there before.
    InTurn,
    /// The one that was tried least: a probe must not be the same file again and again, which may fail for a
    /// reason of its own.
    LeastTried {
        /// Of any brand but these.
        but: Vec<BrandId>,
    },
}

impl Ledger {
    /// The next files that are due and may be sent, at most so many, in their order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn candidates(
        &self,
        order: &ClaimOrder,
        horizon: Duration,
        most: usize,
    ) -> Result<Vec<Candidate>> {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        match order {
            ClaimOrder::InTurn => self.in_turn(horizon, most).await,
            ClaimOrder::LeastTried { but } => self.least_tried(but, horizon, most).await,
        }
    }

    async fn in_turn(&self, horizon: Duration, most: u32) -> Result<Vec<Candidate>> {
        let newest_first = self.claims.load(Ordering::Relaxed) % 2 == 1;
        let (first, second) = if newest_first { (NEWEST, IN_TURN) } else { (IN_TURN, NEWEST) };
        let first = self.due(self.candidates_of(first, horizon, most)).await?;
        // the one that is asked for, or the only one
        let second = match first.len() {
            0 | 1 => Vec::new(),
            _ => self.due(self.candidates_of(second, horizon, most)).await?,
        };
        let files = merged(first, second, most as usize);
        self.claims.fetch_add(files.len() as u64, Ordering::Relaxed);
        Ok(files)
    }

    async fn least_tried(&self, but: &[BrandId], horizon: Duration, most: u32) -> Result<Vec<Candidate>> {
        let query = match self.report().pool().engine() {
            Engine::Sqlite => LEAST_TRIED,
            Engine::Postgres => LEAST_TRIED_POSTGRES,
        };
        let but = but.iter().map(|brand| brand.0.to_string()).collect::<Vec<_>>().join(",");
        let files = self.due(self.candidates_of(query, horizon, most).bind(format!("[{but}]"))).await?;
        Ok(files.into_iter().map(|(file, _)| file).collect())
    }

    /// A statement of those above, with what all have.
    fn candidates_of(&self, query: &'static str, horizon: Duration, most: u32) -> Statement {
        let far = rfc3339(later(self.now(), horizon));
        sql(query).bind(self.now_text()).bind(far).bind(most).bind(self.inbox_id())
    }

    async fn due(&self, query: Statement) -> Result<Vec<(Candidate, i64)>> {
        let read = |row: &Row| -> Result<_> { Ok((Candidate::read(row)?, row.get("turn")?)) };
        query.all(self.report().pool()).await?.iter().map(read).collect()
    }
}

impl Report {
    /// When the next waiting file is due; never, while an operator has suspended the uploads.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        let due: Option<String> = sql(NEXT_DUE).bind(self.inbox().id.0).scalar(self.pool()).await?;
        due.map(|due| due.parse().map_err(|_| LedgerError::Corrupt(due))).transpose()
    }
}

/// Two orders of the same files as one: alternately the next of each, and of an earlier round before a later one.
fn merged(first: Vec<(Candidate, i64)>, second: Vec<(Candidate, i64)>, most: usize) -> Vec<Candidate> {
    let mut lists = [first.into_iter().peekable(), second.into_iter().peekable()];
    let mut files: Vec<Candidate> = Vec::new();
    let mut which = 0;
    while files.len() < most {
        for list in &mut lists {
            while list.next_if(|(file, _)| files.contains(file)).is_some() {}
        }
        let turn = |list: &mut std::iter::Peekable<std::vec::IntoIter<_>>| list.peek().map(|(_, turn)| *turn);
        let turns = [turn(&mut lists[0]), turn(&mut lists[1])];
        let Some(earliest) = turns.into_iter().flatten().min() else { break };
        let from = if turns[which] == Some(earliest) { which } else { 1 - which };
        files.extend(lists[from].next().map(|(file, _): (Candidate, i64)| file));
        which = 1 - which;
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(ids: &[(i64, i64)]) -> Vec<(Candidate, i64)> {
        ids.iter().map(|(id, turn)| (Candidate { id: UploadId(*id), brand: BrandId(1) }, *turn)).collect()
    }

    fn ids(files: Vec<Candidate>) -> Vec<i64> {
        files.into_iter().map(|file| file.id.0).collect()
    }

    #[test]
    fn the_longest_due_and_the_newest_alternate_within_a_round() {
        let (oldest, newest) =
            (files(&[(1, 0), (2, 0), (3, 0), (4, 1)]), files(&[(3, 0), (2, 0), (1, 0), (4, 1)]));
        assert_eq!(ids(merged(oldest.clone(), newest.clone(), 9)), [1, 3, 2, 4]);
        assert_eq!(ids(merged(newest.clone(), oldest.clone(), 9)), [3, 1, 2, 4]);
        assert_eq!(ids(merged(newest, oldest, 2)), [3, 1]);
    }

    #[test]
    fn a_later_round_waits_for_the_one_that_is_on() {
        let (oldest, newest) = (files(&[(1, 0), (2, 0)]), files(&[(2, 0), (9, 1)]));
        assert_eq!(ids(merged(newest, oldest, 3)), [2, 1, 9]);
    }
}
