//! Brands in the ledger.

use std::collections::HashMap;

use super::Ledger;
use super::engine::{Value, sql};
use super::error::{LedgerError, Result};
use super::report::Report;
use super::row::BrandRow;
use super::store::Brands;
use crate::domain::brand::{BrandId, BrandKey, Moment};

const ADD: &str = "INSERT INTO brand (type, record_id, slots_total) ";

pub(super) const LABELS: &str =
    "SELECT type || '/' || record_id AS brand, label FROM brand WHERE label IS NOT NULL";

pub(super) const SET_LABEL: &str = "UPDATE brand SET label = $3 WHERE type = $1 AND record_id = $2";

const OTHER_HOST: &str = "
    SELECT name, host FROM inbox i
    WHERE id <> $1 AND lease_until > brandpost_time()
      AND EXISTS (SELECT 1 FROM upload u WHERE u.brand_id = $2 AND u.inbox_id = i.id) ORDER BY name LIMIT 1";

/// So many brands are added, or resized, at a time.
const AT_ONCE: usize = 500;

impl Ledger {
    /// Gives each brand a row and its number of slots. More slots than before let waiting files in.
    ///
    /// # Errors
    /// When the database fails; then some of them may have theirs.
    pub async fn register(&self, brands: &[(BrandKey, u32)]) -> Result<Vec<BrandRow>> {
        let known = self.report().brand_rows().await?;
        let new: Vec<_> = brands.iter().filter(|(brand, _)| !known.contains_key(brand)).copied().collect();
        for brands in new.chunks(AT_ONCE) {
            self.add(brands).await?;
        }
        let other_size =
            |(brand, slots): &&(BrandKey, u32)| known.get(brand).is_some_and(|(_, total)| total != slots);
        let resized: Vec<_> = brands.iter().filter(other_size).copied().collect();
        self.check_slots(&resized, &known).await?;
        for brands in resized.chunks(AT_ONCE) {
            let rows = brands.iter().map(|(brand, slots)| (known[brand].0.id, *slots)).collect();
            self.resize(rows).await?;
        }
        let rows = if new.is_empty() { known } else { self.report().brand_rows().await? };
        Ok(brands.iter().filter_map(|(brand, _)| Some(rows.get(brand)?.0)).collect())
    }

    /// Gives brands other labels, or none.
    ///
    /// # Errors
    /// When the database fails; then some of them may have theirs.
    pub async fn set_labels(&self, labels: &[(BrandKey, Option<String>)]) -> Result<()> {
        for labels in labels.chunks(AT_ONCE) {
            let mut tx = self.begin().await?;
            for (brand, label) in labels {
                let query = sql(SET_LABEL).bind(brand.kind().as_str()).bind(brand.record());
                query.bind(label.as_deref()).execute(&mut tx).await?;
            }
            self.commit(tx).await?;
        }
        Ok(())
    }

    /// A brand in which other hosts have files has the number of slots that they say, as long as they are at work.
    async fn check_slots(
        &self,
        resized: &[(BrandKey, u32)],
        known: &HashMap<BrandKey, (BrandRow, u32)>,
    ) -> Result<()> {
        if !self.session.pool.engine().is_shared() {
            return Ok(());
        }
        for (brand, ours) in resized {
            let (row, theirs) = &known[brand];
            let other = sql(OTHER_HOST).bind(self.inbox_id()).bind(row.id.0).optional(self.report().pool());
            if let Some(other) = other.await? {
                return Err(LedgerError::SlotsDiffer {
                    what: brand.to_string(),
                    ours: *ours,
                    theirs: *theirs,
                    host: other.get("host")?,
                    inbox: other.get("name")?,
                });
            }
        }
        Ok(())
    }

    async fn add(&self, brands: &[(BrandKey, u32)]) -> Result<()> {
        let row = |(brand, slots): &(BrandKey, u32)| {
            vec![Value::from(brand.kind().as_str()), Value::from(brand.record()), Value::from(*slots)]
        };
        // in one order on all hosts, so that none waits for another that waits for it
        let mut brands = brands.to_vec();
        brands.sort_unstable();
        let mut query = sql(ADD);
        query.push_rows(brands.iter().map(row));
        // a brand that is listed twice, or was added by another process meanwhile
        query.push(" ON CONFLICT DO NOTHING");
        let mut tx = self.begin().await?;
        query.execute(&mut tx).await?;
        self.commit(tx).await
    }

    async fn resize(&self, rows: Vec<(BrandId, u32)>) -> Result<()> {
        let ids = rows.iter().map(|(id, _)| *id).collect();
        self.update_all(ids, move |brands: &mut Brands, at: &Moment| {
            for (id, slots) in rows {
                brands.get_mut(&id).into_iter().for_each(|brand| brand.resize(slots, at));
            }
            Ok(())
        })
        .await
    }
}

impl Report {
    /// The labels of the brands that have one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn labels(&self) -> Result<HashMap<BrandKey, String>> {
        let mut labels = HashMap::new();
        for row in sql(LABELS).all(self.pool()).await? {
            let brand: &str = row.get("brand")?;
            let brand = brand.parse().map_err(|_| LedgerError::Corrupt(brand.into()))?;
            labels.insert(brand, row.get("label")?);
        }
        Ok(labels)
    }
}
