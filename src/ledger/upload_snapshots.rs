//! Questions of the reconcilers to the table.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Ledger;
use super::engine::{Row, sql};
use super::error::Result;
use super::row::{BrandRow, path, stamp, state};
use crate::domain::brand::{BrandId, UploadId};
use crate::domain::upload::{Stamp, State};
use crate::files::FileMeta;

/// Files, as intake compares them with a folder.
macro_rules! known {
    ($of:literal) => {
        concat!(
            "SELECT id, brand_id, path_bytes, state, size_bytes, mtime_ns, inode, ctime_ns,
                    CASE WHEN recheck_requested > recheck_done THEN recheck_requested END AS recheck,
                    state = 'rejected' AND error_kind = 'unreadable' AS unreadable
             FROM upload WHERE inbox_id = $1 AND brand_id ",
            $of
        )
    };
}

pub(super) const KNOWN: &str = known!("= $2");

pub(super) const KNOWN_OF: &str = known!("IN (");

pub(super) const RECHECKS: &str = "
    SELECT brand_id, path_bytes FROM upload
    WHERE inbox_id = $1 AND recheck_requested > recheck_done AND state <> 'uploading'";

pub(super) const OPEN_BRANDS: &str = "
    SELECT id FROM brand b
    WHERE EXISTS (SELECT 1 FROM upload u
                  WHERE u.brand_id = b.id AND u.inbox_id = $1 AND u.state IN ('queued', 'retrying', 'failed', 'rejected'))
       OR EXISTS (SELECT 1 FROM upload u
                  WHERE u.brand_id = b.id AND u.inbox_id = $1 AND u.recheck_requested > u.recheck_done)";

pub(super) const OPEN_BELOW: &str = "
    SELECT count(*) FROM upload WHERE inbox_id = $2 AND state IN ('queued', 'retrying', 'failed', 'rejected')
       AND substr(path_bytes, 1, length($1)) = $1";

pub(super) const LAST_OBJECT: &str = "
    SELECT object_url FROM upload WHERE object_url IS NOT NULL ORDER BY id DESC LIMIT 1";

/// What the table knows of a file, for the comparison with the folder.
#[derive(Debug, Clone)]
pub struct UploadSnapshot {
    /// Its number.
    pub id: UploadId,
    /// The whole path.
    pub path: PathBuf,
    /// Its state.
    pub state: State,
    /// The file when it was last looked at.
    pub stamp: Stamp,
    /// When anything about it had changed last, nanoseconds since 1970.
    pub ctime_ns: Option<i64>,
    /// The number of the last request to look again, if it is open.
    pub recheck: Option<i64>,
    /// It could not be read, which a `chmod` may have changed.
    pub unreadable: bool,
}

impl UploadSnapshot {
    /// May anything still become of it?
    pub fn is_open(&self) -> bool {
        match self.state {
            State::Queued | State::Retrying | State::Failed | State::Rejected => true,
            State::Uploaded => self.recheck.is_some(),
            State::Uploading | State::Gone => false,
        }
    }

    /// Is the file still the one that the row tells of? Of an uploaded one, size, time and inode say so, as long as
    /// nobody asks; of another one, its ctime must be the same too.
    pub fn is_unchanged(&self, look: &FileMeta) -> bool {
        let settled = self.state == State::Uploaded && self.recheck.is_none();
        let same_ctime = self.ctime_ns.is_none_or(|ctime| ctime == look.ctime_ns);
        let same = self.stamp == look.stamp && (settled || same_ctime);
        same && !self.unreadable && self.state != State::Gone
    }
}

impl Ledger {
    /// The object of the newest file that has one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_object_url(&self) -> Result<Option<String>> {
        let row = sql(LAST_OBJECT).optional(self.report().pool()).await?;
        Ok(row.map(|row| row.first()).transpose()?)
    }

    /// All rows of a brand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn known(&self, brand: BrandRow) -> Result<Vec<UploadSnapshot>> {
        let mut known_files = Vec::new();
        let query = sql(KNOWN).bind(self.inbox_id()).bind(brand.id.0);
        let read = |row: &Row| {
            known_files.push(known(row)?);
            Ok(())
        };
        query.each(self.report().pool(), read).await?;
        Ok(known_files)
    }

    /// All rows of each of these brands, but of no more brands than have so many rows together.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn known_of(
        &self,
        brands: &[BrandRow],
        most: usize,
    ) -> Result<HashMap<BrandId, Vec<UploadSnapshot>>> {
        let mut query = sql(KNOWN_OF).bind(self.inbox_id());
        query.push_list(brands.iter().map(|brand| brand.id.0));
        query.push(") ORDER BY brand_id LIMIT ").push_bind(i64::try_from(most).unwrap_or(i64::MAX));
        let rows = query.all(self.report().pool()).await?;
        let is_cut = rows.len() == most;
        let mut snapshots: HashMap<_, _> = brands.iter().map(|brand| (brand.id, Vec::new())).collect();
        let mut newest = None;
        for row in &rows {
            let brand = BrandId(row.get("brand_id")?);
            snapshots.entry(brand).or_default().push(known(row)?);
            newest = Some(brand);
        }
        if is_cut {
            // perhaps not all of its rows, and nothing of those after it
            snapshots.retain(|brand, _| Some(*brand) < newest);
        }
        Ok(snapshots)
    }

    /// The files that intake is asked to look at again, and that nobody works on, with the rows of their brands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rechecks_requested(&self) -> Result<Vec<(BrandId, PathBuf)>> {
        let rows = sql(RECHECKS).bind(self.inbox_id()).all(self.report().pool()).await?;
        rows.iter().map(|row| Ok((BrandId(row.get("brand_id")?), path(row)?))).collect()
    }

    /// Brands with files whose fate is open.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_brands(&self) -> Result<Vec<BrandRow>> {
        let rows = sql(OPEN_BRANDS).bind(self.inbox_id()).all(self.report().pool()).await?;
        let ids: HashSet<_> = rows.iter().map(|row| Ok(BrandId(row.first()?))).collect::<Result<_>>()?;
        let brands = self.report().brand_rows().await?.into_values().map(|(brand, _)| brand);
        Ok(brands.filter(|brand| ids.contains(&brand.id)).collect())
    }

    /// Is the fate of any file in this folder, or in one below it, open?
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_open_files_below(&self, folder: &Path) -> Result<bool> {
        let prefix = folder.join("");
        let query = sql(OPEN_BELOW).bind(prefix.as_os_str().as_bytes()).bind(self.inbox_id());
        let found: i64 = query.scalar(self.report().pool()).await?;
        Ok(found != 0)
    }
}

pub(super) fn known(row: &Row) -> Result<UploadSnapshot> {
    Ok(UploadSnapshot {
        id: UploadId(row.get("id")?),
        path: path(row)?,
        state: state(row)?,
        stamp: stamp(row)?,
        ctime_ns: row.get("ctime_ns")?,
        recheck: row.get("recheck")?,
        unreadable: row.get("unreadable")?,
    })
}
