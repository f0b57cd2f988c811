//! One way to write: a brand is loaded, the rules are applied to it, what changed is written back.
//!
//! One task takes all updates that wait when it begins and commits them together (group commit), without a timer: when
//! nothing else waits, an update is alone in its group. An update whose rules refuse changes nothing and harms no other;
//! a commit that fails fails its whole group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::error::{LedgerError, Result};
use super::session::Session;
use super::store;
use crate::domain::brand::{Brand, BrandId, Moment, Refusal};

/// So many updates are committed together at most.
const MAX_GROUP: usize = 64;

/// The brands that an update asked for, by their rows.
pub(super) type Brands = BTreeMap<BrandId, Brand>;

/// An update that waits to be written.
pub(super) trait Update: Send {
    /// The rows of the brands that it concerns.
    fn brands(&self) -> &[BrandId];

    /// Applies its rules. False when they refuse.
    fn apply(&mut self, brands: &mut Brands, at: &Moment) -> bool;

    /// Tells whoever waits how it ended.
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
        // whoever has gone away needs no answer
        let _ = self.reply.send(result);
    }
}

/// The task that writes, until nobody can ask for anything any more.
pub(super) async fn run(session: Session, mut updates: mpsc::UnboundedReceiver<Box<dyn Update>>) {
    while let Some(first) = updates.recv().await {
        let mut group = vec![first];
        while group.len() < MAX_GROUP
            && let Ok(next) = updates.try_recv()
        {
            group.push(next);
        }
        let written = write(&session, &mut group).await.map_err(Arc::new);
        for update in group {
            update.answer(written.clone().map_err(LedgerError::Group));
        }
    }
}

/// Applies and commits a group.
async fn write(session: &Session, group: &mut [Box<dyn Update>]) -> Result<()> {
    let mut tx = session.begin().await?;
    let ids: BTreeSet<BrandId> = group.iter().flat_map(|update| update.brands()).copied().collect();
    let (moment, next_id) = store::moment(&mut tx, session.now()).await?;
    let before = store::load(&mut tx, &ids, next_id).await?;
    let after = apply(group, &before, &moment);
    let mut changed = false;
    for (id, brand) in &after {
        let changes = brand.changes_since(&before[id]);
        if !changes.is_empty() {
            changed = true;
            store::save(&mut tx, *id, &changes).await?;
        }
    }
    // an update that changed nothing wakes nobody
    if changed { session.commit(tx).await } else { Ok(tx.rollback().await?) }
}

/// Applies the updates in their order, each to what those before it have left. Gives back the brands that were touched.
fn apply(group: &mut [Box<dyn Update>], before: &Brands, at: &Moment) -> Brands {
    let mut after = Brands::new();
    let mut next_id = before.values().map(Brand::next_id).max();
    for update in group {
        let current = |id: &BrandId| Some((*id, after.get(id).or_else(|| before.get(id))?.clone()));
        let mut brands: Brands = update.brands().iter().filter_map(current).collect();
        for brand in brands.values_mut() {
            next_id.into_iter().for_each(|next| brand.set_next_id(next));
        }
        if update.apply(&mut brands, at) {
            next_id = brands.values().map(Brand::next_id).max().max(next_id);
            after.extend(brands);
        }
    }
    after
}
