//! One way to write: a brand is loaded, the rules are applied to it, what changed is written back.
//!
//! One task takes all updates that wait when it begins and commits them together (group commit), without a timer: when
//! nothing else waits, an update is alone in its group. An update whose rules refuse changes nothing and harms no other;
//! a commit that fails fails its whole group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::engine::{Pool, Tx, sql};
use super::error::{LedgerError, Result};
use super::session::Session;
use super::store::{self, Beginning, Brands};
use crate::domain::brand::{Brand, BrandId, Moment, Refusal, UploadId};

/// So many updates are committed together at most.
const MAX_GROUP: usize = 64;

/// An update that waits to be written.
pub(super) trait Update: Send {
    /// The rows of the brands that it concerns.
    fn brands(&self) -> &[BrandId];

    /// How many files it may add at most.
    fn new_files(&self) -> usize;

    /// Applies its rules. False when they refuse.
    fn apply(&mut self, brands: &mut Brands, at: &Moment) -> bool;

    /// Sends the result to the task that waits for it.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// An update of somebody who waits for the rules' result.
pub(super) struct Pending<R, F> {
    brands: Vec<BrandId>,
    new_files: usize,
    rules: Option<F>,
    result: Option<std::result::Result<R, Refusal>>,
    reply: oneshot::Sender<Result<R>>,
}

impl<R, F> Pending<R, F> {
    /// An update, and where its result arrives after the commit.
    pub(super) fn new(
        brands: Vec<BrandId>,
        new_files: usize,
        rules: F,
    ) -> (Self, oneshot::Receiver<Result<R>>) {
        let (reply, result) = oneshot::channel();
        (Self { brands, new_files, rules: Some(rules), result: None, reply }, result)
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

    fn new_files(&self) -> usize {
        self.new_files
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
            cache.forget();
        }
        for update in group {
            update.answer(written.clone().map_err(LedgerError::Group));
        }
    }
}

/// Applies and commits a group.
async fn write(session: &Session, cache: &mut Cache, group: &mut [Box<dyn Update>]) -> Result<()> {
    cache.ids.reserve(group.iter().map(|update| update.new_files()).sum(), &session.pool).await?;
    let mut tx = session.begin().await?;
    let ids: BTreeSet<BrandId> = group.iter().flat_map(|update| update.brands()).copied().collect();
    let Beginning { moment, next_id, version } =
        store::begin(&mut tx, &session.keeper, session.now()).await?;
    let mut versions = store::lock(&mut tx, &ids, version).await?;
    let before = cache.load(&mut tx, &versions, session).await?;
    let (after, next_id) = apply(group, &before, cache.ids.next(next_id), &moment);
    cache.ids.used_up_to(next_id);
    let mut writes = Vec::new();
    for (id, brand) in &after {
        if cfg!(debug_assertions) {
            sound(brand)?;
        }
        let changes = brand.changes_since(&before[id]);
        if !changes.is_empty() {
            writes.push((brand, changes));
        }
    }
    let rechecks = writes.iter().any(|(_, changes)| changes.requests_recheck());
    // an update that changed nothing wakes nobody
    if writes.is_empty() {
        tx.rollback().await?;
    } else {
        store::save(&mut tx, &writes, &moment.inbox, &mut versions).await?;
        session.commit(tx).await?;
    }
    if rechecks {
        session.announce_rechecks();
    }
    cache.keep(before, after, &versions);
    Ok(())
}

/// Applies the updates in their order, each to what those before it have left. Gives back the brands that were touched,
/// and the next id.
fn apply(
    group: &mut [Box<dyn Update>],
    before: &Brands,
    mut next_id: UploadId,
    at: &Moment,
) -> (Brands, UploadId) {
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
    (after, next_id)
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
    /// Each with its version: while that is unchanged, the brand here equals the one in the database.
    brands: BTreeMap<BrandId, (i64, Brand)>,
    /// SQLite: they were seen by this connection.
    connection_number: u64,
    ids: Ids,
}

/// So many files are kept beside those of the last group.
const CACHED_FILES: usize = 4096;

impl Cache {
    /// The brands with these versions: from memory, if nobody else has written, or from the database.
    async fn load(
        &mut self,
        tx: &mut Tx,
        versions: &BTreeMap<BrandId, i64>,
        session: &Session,
    ) -> Result<Brands> {
        if self.connection_number != session.connection_number() {
            self.connection_number = session.connection_number();
            self.brands.clear();
        }
        let (mut brands, mut unknown) = (Brands::new(), BTreeSet::new());
        for (id, version) in versions {
            match self.brands.remove(id).filter(|(known, _)| known == version) {
                Some((_, brand)) => drop(brands.insert(*id, brand)),
                None => drop(unknown.insert(*id)),
            }
        }
        if !unknown.is_empty() {
            brands.extend(store::load(tx, &unknown, &session.inboxes).await?);
        }
        Ok(brands)
    }

    /// What was committed is what the next group finds.
    fn keep(&mut self, before: Brands, after: Brands, versions: &BTreeMap<BrandId, i64>) {
        if self.brands.values().map(|(_, brand)| brand.file_count()).sum::<usize>() > CACHED_FILES {
            self.brands.clear();
        }
        let after = after.into_iter().map(|(id, brand)| (id, brand.as_committed()));
        for (id, brand) in before.into_iter().chain(after) {
            let version = versions.get(&id).copied().unwrap_or_default();
            self.brands.insert(id, (version, brand));
        }
    }

    fn forget(&mut self) {
        self.brands.clear();
    }
}

/// PostgreSQL: ids of files that were given to this daemon. Several hosts add files at a time, so the highest id in the
/// table says nothing.
#[derive(Debug, Default)]
struct Ids {
    next: i64,
    end: i64,
}

/// So many ids are asked for at least.
const IDS: i64 = 64;

const RESERVE_IDS: &str = "UPDATE next_upload SET id = id + $1 RETURNING id - $1 AS first";

impl Ids {
    async fn reserve(&mut self, files: usize, pool: &Pool) -> Result<()> {
        let files = i64::try_from(files).unwrap_or(i64::MAX);
        if pool.engine().is_shared() && self.end - self.next < files {
            let count = files.max(IDS);
            self.next = sql(RESERVE_IDS).bind(count).scalar(pool).await?;
            self.end = self.next + count;
        }
        Ok(())
    }

    /// The next one; `highest`, where the table says it.
    fn next(&self, highest: UploadId) -> UploadId {
        if self.end == 0 { highest } else { UploadId(self.next) }
    }

    fn used_up_to(&mut self, next: UploadId) {
        if self.end != 0 {
            self.next = next.0;
        }
    }
}
