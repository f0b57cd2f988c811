//! What the two reconcilers and the operators ask the rules for, each in one update of the brands that it concerns.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;

use super::commit_hook::Committer;
use super::engine::sql;
use super::error::{LedgerError, Result};
use super::operator::RetrySelection;
use super::queue::Candidate;
use super::row::BrandRow;
use super::store::Brands;
use super::writer::{Pending, Update};
use super::{Ledger, RecordResult};
use crate::domain::brand::{
    Absent, AttemptEnd, Brand, BrandId, Claim, ClaimTerms, ClaimToken, Displaced, InspectedFile, Moment,
    Refusal, UploadId,
};

/// So many brands are loaded at a time when all are concerned.
const BRANDS_AT_ONCE: usize = 100;

/// The brand of a file.
pub(super) const BRAND_OF: &str = "SELECT brand_id FROM upload WHERE id = $1";

/// Brands with files that wait.
pub(super) const WAITING_BRANDS: &str = "
    SELECT DISTINCT brand_id FROM upload WHERE inbox_id = $1 AND turn IS NOT NULL ORDER BY brand_id";

/// Files whose holder is gone.
pub(super) const ABANDONED: &str = "
    SELECT id, brand_id FROM upload WHERE inbox_id = $1 AND lease_until IS NOT NULL AND ($2 = 1 OR lease_until < $3)";

impl Ledger {
    /// Records files that were looked at, in the order given, in one transaction: slots are given here.
    ///
    /// # Errors
    /// When the database fails; then nothing is recorded.
    pub async fn record(
        &self,
        brand: BrandRow,
        files: Vec<InspectedFile>,
        missing: Vec<UploadId>,
        relocated: Vec<UploadId>,
    ) -> Result<Vec<RecordResult>> {
        let new_files = files.len();
        self.update_one(brand, new_files, move |brand, at| {
            let mut missing = missing;
            let mut results = Vec::with_capacity(files.len());
            for file in &files {
                let absent = Absent { missing: &missing, relocated: &relocated };
                let result = brand.take_in(file, absent, at);
                // whose name it has taken over is no longer missing
                missing.retain(|id| *id != result.id);
                results.push(result);
            }
            Ok(results)
        })
        .await
    }

    /// A file that was renamed: same inode, size and time under another name, which changed its ctime. False when its
    /// row has ended meanwhile, so that the file is a new one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renamed(&self, brand: BrandRow, id: UploadId, path: &Path, ctime_ns: i64) -> Result<bool> {
        let path = path.to_owned();
        self.update(brand, move |brand, at| Ok(brand.renamed(id, &path, ctime_ns, at))).await
    }

    /// Files whose folder has another name, with their paths now. Gives back how many rows followed.
    ///
    /// # Errors
    /// When the database fails; then none did.
    pub async fn moved(&self, brand: BrandRow, files: Vec<(UploadId, PathBuf)>) -> Result<u64> {
        self.update(brand, move |brand, at| {
            let moved = files.iter().filter(|(id, path)| brand.moved(*id, path, at));
            Ok(moved.count() as u64)
        })
        .await
    }

    /// Files that are no longer there. Gives back how many became `gone`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vanished(&self, brand: BrandRow, ids: Vec<UploadId>) -> Result<u64> {
        self.update(brand, move |brand, at| Ok(brand.vanished(&ids, at))).await
    }

    /// Intake is to look at the file again, once nobody works on it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recheck_requested(&self, brand: BrandRow, id: UploadId) -> Result<()> {
        self.update(brand, move |brand, _| {
            brand.recheck_requested(id);
            Ok(())
        })
        .await
    }

    /// Intake has looked at these files as was requested by then. What was requested since stays open.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recheck_done(&self, brand: BrandRow, done: Vec<(UploadId, i64)>) -> Result<()> {
        self.update(brand, move |brand, _| {
            for (id, requested) in done {
                brand.recheck_done(id, requested);
            }
            Ok(())
        })
        .await
    }

    /// Claims files that are still due.
    ///
    /// # Errors
    /// When the database fails; then none is claimed.
    pub async fn claim(&self, files: Vec<Candidate>, terms: ClaimTerms) -> Result<Vec<Claim>> {
        let brands = files.iter().map(|file| file.brand).collect();
        self.update_all(brands, move |brands, at| {
            let start = |file: Candidate| brands.get_mut(&file.brand)?.start(file.id, terms, at);
            Ok(files.into_iter().filter_map(start).collect())
        })
        .await
    }

    /// Ends a claim: the file's state, its attempt, and what follows for others, in one transaction.
    ///
    /// # Errors
    /// `Conflict` when the claim is no longer ours; otherwise when the database fails.
    pub async fn finish(&self, claim: &Claim, end: &AttemptEnd, took: Duration) -> Result<()> {
        let brand = claim.brand_id;
        let (claim, end) = (claim.clone(), end.clone());
        let id = claim.id();
        let finished = self.update_all(vec![brand], move |brands, at| {
            let finish = |brand: &mut Brand| brand.finish(&claim, &end, took, at);
            Ok(brands.values_mut().all(finish))
        });
        match finished.await? {
            true => Ok(()),
            false => Err(LedgerError::Conflict { id, step: "end of an attempt" }),
        }
    }

    /// Makes every waiting file due now: its due time comes from a clock that has been set since.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn make_all_due(&self) -> Result<()> {
        let rows = sql(WAITING_BRANDS).bind(self.inbox_id()).all(self.report().pool()).await?;
        let brands: Vec<_> = rows.iter().map(|row| Ok(BrandId(row.first()?))).collect::<Result<_>>()?;
        for brands in brands.chunks(BRANDS_AT_ONCE) {
            let make_due = |brands: &mut Brands, at: &Moment| {
                for brand in brands.values_mut() {
                    brand.make_due(at);
                }
                Ok(())
            };
            self.update_all(brands.to_vec(), make_due).await?;
        }
        Ok(())
    }

    /// Puts off the end of claims that are still worked on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn extend_leases(&self, claims: Vec<(ClaimToken, BrandId)>, lease: Duration) -> Result<()> {
        if claims.is_empty() {
            return Ok(());
        }
        let brands = claims.iter().map(|(_, brand)| *brand).collect();
        self.update_all(brands, move |brands, at| {
            for (claim, brand) in claims {
                brands.get_mut(&brand).into_iter().for_each(|brand| brand.extend(claim, lease, at));
            }
            Ok(())
        })
        .await
    }

    /// Puts files back into the queue (their bytes may have arrived) whose holder is gone: at start all claimed ones,
    /// later those whose lease ran out. Gives back how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reclaim(&self, all: bool) -> Result<u64> {
        let query = sql(ABANDONED).bind(self.inbox_id()).bind(all).bind(self.now_text());
        let rows = query.all(self.report().pool()).await?;
        let abandoned: Vec<_> = rows.iter().map(Candidate::read).collect::<Result<_>>()?;
        if abandoned.is_empty() {
            return Ok(0);
        }
        let brands = abandoned.iter().map(|file| file.brand).collect();
        self.update_all(brands, move |brands, at| {
            let mut interrupt = |file: &&Candidate| {
                brands.get_mut(&file.brand).is_some_and(|brand| brand.interrupted(file.id, at))
            };
            Ok(abandoned.iter().filter(|file| interrupt(file)).count() as u64)
        })
        .await
    }

    /// Queues files again, now. Refused ones are looked at again. Gives back how many are on their way.
    ///
    /// # Errors
    /// When a file that was named is unknown, gone or being sent; then nothing changes.
    pub async fn retry(&self, selection: &RetrySelection) -> Result<u64> {
        let files = match selection {
            RetrySelection::Ids(ids) => self.named(ids).await?,
            selection => self.selected(selection).await?,
        };
        let total = files.len() as u64;
        let at_once = if matches!(selection, RetrySelection::Ids(_)) { usize::MAX } else { BRANDS_AT_ONCE };
        for files in by_brands(files, at_once) {
            let brands = files.iter().map(|file| file.brand).collect();
            self.update_all(brands, move |brands, at| {
                files.iter().try_for_each(|file| match brands.get_mut(&file.brand) {
                    Some(brand) => brand.retry(file.id, at),
                    None => Err(Refusal::Unknown(file.id)),
                })
            })
            .await?;
        }
        self.note_external_write();
        Ok(total)
    }

    /// The brands of files that were named by their ids.
    async fn named(&self, ids: &[UploadId]) -> Result<Vec<Candidate>> {
        let mut files = Vec::with_capacity(ids.len());
        for id in ids {
            files.push(Candidate { id: *id, brand: self.brand_of(*id).await? });
        }
        Ok(files)
    }

    /// Frees slots: an uploaded file keeps its row without a slot, a reservation ends.
    ///
    /// # Errors
    /// When a slot is free already, or its file is still to be sent; then nothing changes.
    pub async fn release(&self, brand: BrandRow, slots: &[u32]) -> Result<()> {
        let slots = slots.to_vec();
        self.update(brand, move |brand, at| brand.release(&slots, at)).await
    }

    /// Keeps slots free of our files. Files that are still to be sent there get other ones, or wait. Reserving a reserved
    /// one changes nothing. Gives back which files had to go.
    ///
    /// # Errors
    /// When a slot is none of the brand's, its file is being sent, or something of it may be there already; then nothing
    /// changes.
    pub async fn reserve(&self, brand: BrandRow, slots: &[u32]) -> Result<Vec<Displaced>> {
        let slots = slots.to_vec();
        self.update(brand, move |brand, at| brand.reserve(&slots, at)).await
    }

    /// Takes held files as sent, of one brand or of all: nothing is transferred. Gives back how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn adopt(&self, only: Option<BrandRow>) -> Result<u64> {
        let mut brands = self.brands_with_held_files().await?;
        brands.retain(|brand| only.is_none_or(|only| only.id == *brand));
        let mut adopted = 0;
        for brands in brands.chunks(BRANDS_AT_ONCE) {
            let adopt = |brands: &mut Brands, at: &Moment| {
                Ok(brands.values_mut().map(|brand| brand.adopt(at)).sum::<u64>())
            };
            adopted += self.update_all(brands.to_vec(), adopt).await?;
        }
        Ok(adopted)
    }

    async fn brand_of(&self, id: UploadId) -> Result<BrandId> {
        let row = sql(BRAND_OF).bind(id.0).optional(self.report().pool()).await?;
        let row = row.ok_or(LedgerError::Refused(Refusal::Unknown(id)))?;
        Ok(BrandId(row.first()?))
    }

    /// Applies rules to one brand.
    pub(super) async fn update<R, F>(&self, brand: BrandRow, rules: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut Brand, &Moment) -> std::result::Result<R, Refusal> + Send + 'static,
    {
        self.update_one(brand, 0, rules).await
    }

    /// As `update`, by rules that may add so many files.
    async fn update_one<R, F>(&self, brand: BrandRow, new_files: usize, rules: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut Brand, &Moment) -> std::result::Result<R, Refusal> + Send + 'static,
    {
        let applied = self.submit(vec![brand.id], new_files, move |brands, at| {
            brands.get_mut(&brand.id).map(|brand| rules(brand, at)).transpose()
        });
        applied.await?.ok_or_else(|| LedgerError::Corrupt(format!("{} has no row", brand.brand)))
    }

    /// Applies rules to some brands, named by their rows, and gives back what they say after the commit.
    ///
    /// # Errors
    /// When the rules refuse; then nothing changes. Otherwise when the database fails.
    pub(super) async fn update_all<R, F>(&self, brands: Vec<BrandId>, rules: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut Brands, &Moment) -> std::result::Result<R, Refusal> + Send + 'static,
    {
        self.submit(brands, 0, rules).await
    }

    async fn submit<R, F>(&self, brands: Vec<BrandId>, new_files: usize, rules: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut Brands, &Moment) -> std::result::Result<R, Refusal> + Send + 'static,
    {
        self.session.before_begin(Committer::Group).await?;
        let (update, result): (_, oneshot::Receiver<Result<R>>) = Pending::new(brands, new_files, rules);
        let update: Box<dyn Update> = Box::new(update);
        self.updates.send(update).map_err(|_| LedgerError::closed())?;
        result.await.map_err(|_| LedgerError::closed())?
    }
}

/// Files in groups of so many brands.
fn by_brands(files: Vec<Candidate>, brands: usize) -> Vec<Vec<Candidate>> {
    let mut groups: Vec<Vec<Candidate>> = Vec::new();
    let (mut last, mut count) = (None, 0);
    for file in files {
        count += usize::from(last.replace(file.brand) != Some(file.brand));
        if groups.is_empty() || count > brands {
            groups.push(Vec::new());
            count = 1;
        }
        groups.last_mut().into_iter().for_each(|group| group.push(file));
    }
    groups
}
