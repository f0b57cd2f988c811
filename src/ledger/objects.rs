//! Whose an object on OSS is.

use super::Ledger;
use super::engine::sql;
use super::error::{LedgerError, Result};
use crate::domain::brand::{BrandKey, UploadId};

pub(super) const HOLDER: &str = "
    SELECT u.id, u.file_name, u.slot, b.type || '/' || b.record_id AS brand
    FROM upload u JOIN brand b ON b.id = u.brand_id
    WHERE u.object_url = $1 AND u.slot IS NOT NULL AND u.id <> $2 LIMIT 1";

/// The file whose picture is in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its row.
    pub id: UploadId,
    /// Whose it is.
    pub brand: BrandKey,
    /// The name alone.
    pub file_name: String,
    /// The slot that the object belongs to.
    pub slot: u32,
}

impl Ledger {
    /// The file beside `upload` that has a slot and its picture in this object.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holder(&self, object_url: &str, upload: UploadId) -> Result<Option<Holder>> {
        let row = sql(HOLDER).bind(object_url).bind(upload.0).optional(self.report().pool()).await?;
        let Some(row) = row else { return Ok(None) };
        let brand: &str = row.get("brand")?;
        let brand = brand.parse().map_err(|_| LedgerError::Corrupt(brand.into()))?;
        let (id, file_name) = (UploadId(row.get("id")?), row.get("file_name")?);
        Ok(Some(Holder { id, brand, file_name, slot: row.get("slot")? }))
    }
}
