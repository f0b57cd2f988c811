//! Brands in the ledger.

use sqlx::Row;

use super::Tx;
use super::error::Result;
use super::{Ledger, slots};
use crate::domain::brand::BrandKey;

/// A brand that has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BrandRow {
    /// The row.
    pub id: i64,
    /// Which brand it is.
    pub brand: BrandKey,
}

impl Ledger {
    /// Gives each brand a row and its number of slots, in one transaction if anything is new. More slots
    /// than before let waiting files in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn register(&self, brands: &[(BrandKey, u32)]) -> Result<Vec<BrandRow>> {
        let known = self.report().brand_rows().await?;
        let stands = |(brand, slots): &(BrandKey, u32)| known.get(brand).filter(|(_, total)| total == slots);
        if let Some(rows) = brands.iter().map(|brand| stands(brand).map(|(row, _)| *row)).collect() {
            return Ok(rows);
        }
        let mut tx = self.begin().await?;
        let mut rows = Vec::with_capacity(brands.len());
        for (brand, slots) in brands {
            let row = upsert(&mut tx, *brand, *slots).await?;
            slots::promote(&mut tx, row.id, &self.now_text()).await?;
            rows.push(row);
        }
        self.commit(tx).await?;
        Ok(rows)
    }
}

async fn upsert(tx: &mut Tx, brand: BrandKey, slots: u32) -> Result<BrandRow> {
    let row = sqlx::query(
        "INSERT INTO brand (type, record_id, slots_total) VALUES (?1, ?2, ?3)
         ON CONFLICT (type, record_id) DO UPDATE SET slots_total = excluded.slots_total
         RETURNING id",
    )
    .bind(brand.kind().as_str())
    .bind(brand.record())
    .bind(slots)
    .fetch_one(&mut **tx)
    .await?;
    Ok(BrandRow { id: row.try_get("id")?, brand })
}
