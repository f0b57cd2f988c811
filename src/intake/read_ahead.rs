//! What the database knows of the folders that are scanned next, read for many of them at a time: at a start with ten
//! thousand folders, a query for each would take longer than all else.

use std::collections::{HashMap, VecDeque};

use tokio::sync::{Mutex, watch};

use crate::domain::brand::BrandId;
use crate::ledger::{BrandRow, Ledger, LedgerError, UploadSnapshot};

/// The rows of so many brands are read at a time, and so many rows at most.
const MAX_BRANDS: usize = 64;
const MAX_ROWS: usize = 4096;

/// The rows that were read ahead.
#[derive(Debug)]
pub(super) struct ReadAhead {
    ledger: Ledger,
    changes: watch::Receiver<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The brands whose folders are scanned next, in this order.
    planned: VecDeque<BrandRow>,
    /// So many of them may be asked for next.
    side_by_side: usize,
    rows: HashMap<BrandId, Vec<UploadSnapshot>>,
    /// The rows are as they were at this version of the database.
    version: u64,
    /// The rows of so many brands are read the next time.
    ahead: usize,
}

impl ReadAhead {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { changes: ledger.changes(), ledger, state: Mutex::default() }
    }

    /// The folders of these brands are scanned next, in this order, but so many side by side.
    pub(super) async fn plan(&self, brands: VecDeque<BrandRow>, side_by_side: usize) {
        *self.state.lock().await = State { planned: brands, side_by_side, ..State::default() };
    }

    /// All rows of a brand.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn known(&self, brand: BrandRow) -> Result<Vec<UploadSnapshot>, LedgerError> {
        let mut state = self.state.lock().await;
        state.forget_before(*self.changes.borrow());
        if let Some(rows) = state.rows.remove(&brand.id) {
            return Ok(rows);
        }
        let next = state.next_from(brand);
        if next.len() > 1 {
            let rows = self.ledger.known_of(&next, MAX_ROWS).await?;
            state.rows.extend(rows);
        }
        if let Some(rows) = state.rows.remove(&brand.id) {
            return Ok(rows);
        }
        drop(state);
        self.ledger.known(brand).await
    }
}

impl State {
    /// What was read before the last commit is no longer true. While there are commits, little is read ahead.
    fn forget_before(&mut self, version: u64) {
        if std::mem::replace(&mut self.version, version) != version && !self.rows.is_empty() {
            self.rows = HashMap::new();
            self.ahead = 0;
        }
    }

    /// The brands that are to be read now: this one, and those after it in the plan.
    fn next_from(&mut self, brand: BrandRow) -> Vec<BrandRow> {
        let Some(at) = self.planned.iter().take(self.side_by_side).position(|next| *next == brand) else {
            return Vec::new();
        };
        self.ahead = (2 * self.ahead).clamp(2, MAX_BRANDS);
        let end = self.planned.len().min(at + self.ahead);
        let next = self.planned.drain(at..end).collect();
        if self.planned.is_empty() {
            self.planned = VecDeque::new();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{glance, places};
    use super::*;
    use crate::domain::clock::SystemClock;
    use crate::domain::notice::NoticeName;

    const SIDE_BY_SIDE: usize = places::AT_ONCE * glance::TOGETHER;

    async fn planned(ledger: &Ledger, count: i64) -> (ReadAhead, Vec<BrandRow>) {
        let keys: Vec<_> = (1..=count).map(|id| (format!("OWNBRAND/{id}").parse().unwrap(), 10)).collect();
        let brands = ledger.register(&keys).await.unwrap();
        let ahead = ReadAhead::new(ledger.clone());
        ahead.plan(brands.iter().copied().collect(), SIDE_BY_SIDE).await;
        (ahead, brands)
    }

    #[tokio::test]
    async fn more_and_more_is_read_ahead_until_somebody_writes() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("x.db"), Arc::new(SystemClock)).await.unwrap();
        let (ahead, brands) = planned(&ledger, 100).await;
        let mut left = Vec::new();
        for brand in &brands[..31] {
            ahead.known(*brand).await.unwrap();
            left.push(ahead.state.lock().await.rows.len());
        }
        assert_eq!(left[..7], [1, 0, 3, 2, 1, 0, 7], "two, four, eight");
        assert_eq!(left[30], 31, "thirty-two");
        ledger.set_notice(NoticeName::Root, "it is not there").await.unwrap();
        ahead.known(brands[31]).await.unwrap();
        assert_eq!(ahead.state.lock().await.rows.len(), 0, "what was read before is old");
        ahead.known(brands[62]).await.unwrap();
        assert_eq!(ahead.state.lock().await.rows.len(), 1);
    }

    /// As many folders are looked at side by side as the window has: none of their brands is read alone.
    #[tokio::test]
    async fn looks_that_go_on_side_by_side_take_nothing_from_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("x.db"), Arc::new(SystemClock)).await.unwrap();
        let (ahead, brands) = planned(&ledger, 256).await;
        let lanes: Vec<_> = brands.chunks(glance::TOGETHER).take(places::AT_ONCE).collect();
        let mut alone = 0;
        for at in 0..glance::TOGETHER {
            for lane in &lanes {
                let state = ahead.state.lock().await;
                let is_there = state.rows.contains_key(&lane[at].id);
                let is_planned = state.planned.iter().take(SIDE_BY_SIDE).any(|brand| *brand == lane[at]);
                drop(state);
                alone += usize::from(!is_there && !is_planned);
                ahead.known(lane[at]).await.unwrap();
            }
        }
        assert_eq!(alone, 0);
    }

    #[tokio::test]
    async fn what_is_not_planned_is_read_alone() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("x.db"), Arc::new(SystemClock)).await.unwrap();
        let count = SIDE_BY_SIDE + 1;
        let (ahead, brands) = planned(&ledger, count.try_into().unwrap()).await;
        ahead.known(brands[SIDE_BY_SIDE]).await.unwrap();
        let state = ahead.state.lock().await;
        assert_eq!((state.rows.len(), state.planned.len()), (0, count));
    }
}
