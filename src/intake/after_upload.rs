//! Uploaded files are tidied away as `upload.after` says; how, says `tidy`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::reconcile::Reconcile;
use super::scan::Listing;
use super::tidy;
use crate::config::{After, Upload};
use crate::domain::brand::BrandKey;
use crate::domain::upload::{Stamp, State};
use crate::files;
use crate::fs_timeout::{Question, not_responding};
use crate::ledger::UploadSnapshot;

/// After files could not be tidied away, it is tried again after this time.
const RETRY: Duration = Duration::from_mins(1);

/// What came of it.
struct Tidied {
    /// The last file that could not be tidied away, and why.
    done: Result<(), (OsString, io::Error)>,
    /// The ctimes of all that could not.
    put_back: HashMap<OsString, i64>,
}

impl Reconcile<'_> {
    /// Tidies away what was uploaded and has not changed since.
    pub(super) async fn tidy_uploaded(
        &mut self,
        listing: &Listing,
        known: &HashMap<OsString, UploadSnapshot>,
    ) {
        let work = self.uploaded(listing, known);
        if work.is_empty() {
            return;
        }
        if self.folder.tidy_after.is_none_or(|after| after <= self.now.steady) {
            let brand = self.folder.brand.brand;
            let Tidied { done, put_back } = self.tidy(brand, listing.folder.clone(), work).await;
            self.log_tidied(brand, &done);
            self.folder.put_back = put_back;
            self.folder.tidy_after = done.is_err().then(|| self.now.steady + RETRY);
        }
        self.folder.tidy_after.into_iter().for_each(|after| self.scan_again(after));
    }

    fn uploaded(
        &self,
        listing: &Listing,
        known: &HashMap<OsString, UploadSnapshot>,
    ) -> Vec<(OsString, Stamp)> {
        if self.ctx.settings.upload.after == After::Keep {
            return Vec::new();
        }
        let uploaded = listing.entries.iter().filter_map(|entry| {
            let row = known.get(&entry.name)?;
            let same = row.state == State::Uploaded && row.stamp == entry.meta.stamp;
            same.then(|| (entry.name.clone(), row.stamp))
        });
        uploaded.collect()
    }

    async fn tidy(&self, brand: BrandKey, folder: Arc<OwnedFd>, work: Vec<(OsString, Stamp)>) -> Tidied {
        let rules = self.ctx.settings.upload.clone();
        let tidy = move || tidy_all(&rules, brand, &folder, work);
        let tidied = self.ctx.fs_timeouts.run(&self.folder.path, Question::Tidy, tidy).await;
        tidied.unwrap_or_else(|| {
            let error = not_responding();
            Tidied { done: Err((OsString::new(), error)), put_back: HashMap::new() }
        })
    }
}

fn tidy_all(rules: &Upload, brand: BrandKey, folder: &OwnedFd, work: Vec<(OsString, Stamp)>) -> Tidied {
    let mut tidied = Tidied { done: Ok(()), put_back: HashMap::new() };
    for (name, stamp) in work {
        if let Err(error) = tidy::tidy(rules, brand, folder, &name, stamp) {
            if let Ok(meta) = files::look(folder, &name) {
                tidied.put_back.insert(name.clone(), meta.ctime_ns);
            }
            tidied.done = Err((name, error));
        }
    }
    tidied
}
