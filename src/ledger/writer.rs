//! One way to write: a brand is loaded, the rules are applied to it, what changed is written back.
//!
//! One task takes all updates that wait when it begins and commits them together (group commit), without a timer: when
//! nothing else waits, an update is alone in its group. An update whose rules refuse changes nothing and harms no other;
//! a commit that fails fails its whole group.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::error::{LedgerError, Result};
use super::session::{Session, Tx};
use super::store::{self, Brands};
use crate::domain::brand::{Brand, BrandId, Moment, Refusal, UploadId};

/// So many updates are committed together at most.
const MAX_GROUP: usize = 64;

/// An update that waits to be written.
pub(super) trait Update: Send {
    /// The rows of the brands that it concerns.
    fn brands(&self) -> &[BrandId];

    /// Applies its rules. False when they refuse.
    fn apply(&mut self, brands: &mut Brands, at: &Moment) -> bool;

    /// Sends the result to the task that waits for it.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// An update of somebody who waits for the rules' result.
pub(super) struct Pending<R, F> {
    brands: Vec<BrandId>,
    rules: Option<F>,
    result: Option<std::result::Result<R, Refusal>>,
    reply: oneshot::Sender<Result<R>>,
}

impl<R, F> Pending<R, F> {
    /// An update, and where its result arrives after the commit.
    pub(super) fn new(brands: Vec<BrandId>, rules: F) -> (Self, oneshot::Receiver<Result<R>>) {
        let (reply, result) = oneshot::channel();
        (Self { brands, rules: Some(rules), result: None, reply }, result)
    }
}

impl<R, F> Update for Pending<R, F>
where
    R: Send,
    F: FnOnce(&mut Brands, &Moment) -> std::result::Result<R, Refusal> + Send,
{
    fn brands(&self) -> &[BrandId] {
        &self.brands
    }

    fn apply(&mut self, brands: &mut Brands, at: &Moment) -> bool {
        self.result = self.rules.take().map(|rules| rules(brands, at));
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let result = match (committed, self.result) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(result)) => result.map_err(LedgerError::Refused),
            (Ok(()), None) => Err(LedgerError::closed()),
        };
        // a task that no longer waits needs no answer
        let _ = self.reply.send(result);
    }
}

/// The task that writes, until nobody can ask for anything any more.
pub(super) async fn run(session: Session, mut updates: mpsc::UnboundedReceiver<Box<dyn Update>>) {
    let mut cache = Cache::default();
    while let Some(first) = updates.recv().await {
        let mut group = vec![first];
        while group.len() < MAX_GROUP
            && let Ok(next) = updates.try_recv()
        {
            group.push(next);
        }
        let written = write(&session, &mut cache, &mut group).await.map_err(Arc::new);
        if written.is_err() {
            // nobody knows what was committed
            cache = Cache::default();
        }
        for update in group {
            update.answer(written.clone().map_err(LedgerError::Group));
        }
    }
}

/// Applies and commits a group.
async fn write(session: &Session, cache: &mut Cache, group: &mut [Box<dyn Update>]) -> Result<()> {
    let mut tx = session.begin().await?;
    let ids: BTreeSet<BrandId> = group.iter().flat_map(|update| update.brands()).copied().collect();
    let (moment, next_id, version) = store::moment(&mut tx, session.now()).await?;
    let before = cache.load(&mut tx, &ids, next_id, (version, session.generation())).await?;
    let after = apply(group, &before, next_id, &moment);
    let (mut is_changed, mut rechecks) = (false, false);
    for (id, brand) in &after {
        if cfg!(debug_assertions) {
            sound(brand)?;
        }
        let changes = brand.changes_since(&before[id]);
        if !changes.is_empty() {
            is_changed = true;
            rechecks |= changes.requests_recheck();
            store::save(&mut tx, *id, &changes).await?;
        }
    }
    // an update that changed nothing wakes nobody
    match is_changed {
        true => session.commit(tx).await?,
        false => tx.rollback().await?,
    }
    if rechecks {
        session.announce_rechecks();
    }
    cache.keep(before, after);
    Ok(())
}

/// Applies the updates in their order, each to what those before it have left. Gives back the brands that were touched.
fn apply(group: &mut [Box<dyn Update>], before: &Brands, mut next_id: UploadId, at: &Moment) -> Brands {
    let mut after = Brands::new();
    for update in group {
        let current = |id: &BrandId| after.get(id).or_else(|| before.get(id)).cloned();
        let mut brands: Brands =
            update.brands().iter().filter_map(|id| Some((*id, current(id)?.with_next_id(next_id)))).collect();
        if update.apply(&mut brands, at) {
            next_id = brands.values().map(Brand::next_id).max().unwrap_or(next_id);
            after.extend(brands);
        }
    }
    after
}

/// Rules that break an invariant are a mistake in the program.
fn sound(brand: &Brand) -> Result<()> {
    let broken = brand.check();
    match broken.is_empty() {
        true => Ok(()),
        false => Err(LedgerError::Corrupt(format!("{}: {}", brand.key(), broken.join("; ")))),
    }
}

/// The brands of the last groups, so that one that is written again and again is not read again and again.
#[derive(Debug, Default)]
struct Cache {
    brands: Brands,
    /// They are as they are in the database as long as this is the same.
    version: Option<Version>,
}

/// The version of the database's content as the writing connection sees it, and of the connection itself.
type Version = (i64, u64);

/// So many files are kept beside those of the last group.
const CACHED_FILES: usize = 4096;

impl Cache {
    /// The brands with these ids: from memory, if nobody else has written, or from the database.
    async fn load(
        &mut self,
        tx: &mut Tx,
        ids: &BTreeSet<BrandId>,
        next_id: UploadId,
        version: Version,
    ) -> Result<Brands> {
        if self.version.replace(version) != Some(version) {
            self.brands.clear();
        }
        let (known, unknown): (BTreeSet<_>, BTreeSet<_>) =
            ids.iter().copied().partition(|id| self.brands.contains_key(id));
        let mut brands = match unknown.is_empty() {
            true => Brands::new(),
            false => store::load(tx, &unknown, next_id).await?,
        };
        brands.extend(known.iter().filter_map(|id| self.brands.remove_entry(id)));
        Ok(brands)
    }

    /// What was committed is what the next group finds.
    fn keep(&mut self, before: Brands, after: Brands) {
        if self.brands.values().map(Brand::file_count).sum::<usize>() > CACHED_FILES {
            self.brands.clear();
        }
        self.brands.extend(before);
        self.brands.extend(after.into_iter().map(|(id, brand)| (id, brand.as_committed())));
    }
}
