//! Brands' labels, kept in step with the names of their folders.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::discovery::BrandFolder;
use super::{Intake, IntakeError};
use crate::domain::brand::BrandKey;
use crate::ledger::{Ledger, LedgerError};

/// The labels of brands that have others by now, or none.
pub(super) type NewLabels = Vec<(BrandKey, Option<String>)>;

/// The labels that the database has, of the brands that have one; `None`: it was not asked yet.
pub(super) type Labels = Option<HashMap<BrandKey, String>>;

impl Intake {
    /// Which brands are called otherwise by now than the database says: as `[[brand]]` says first, else as the first folder
    /// with a label does. A brand without any has none, unless its type's folder could not be read.
    pub(super) async fn changed_labels(
        &mut self,
        found: &[BrandFolder],
        is_unknown: impl Fn(&Path) -> bool,
    ) -> Result<NewLabels, IntakeError> {
        let root = &self.ctx.settings.watch.root;
        let known = match &mut self.labels {
            Some(known) => known,
            none => none.insert(self.ctx.ledger.report().labels().await?),
        };
        let configured =
            self.ctx.settings.brands.iter().map(|folder| (folder.brand, folder.label.as_deref()));
        let mut now: BTreeMap<BrandKey, Option<&str>> = BTreeMap::new();
        for (brand, label) in
            configured.chain(found.iter().map(|folder| (folder.brand, folder.label.as_deref())))
        {
            let entry = now.entry(brand).or_default();
            *entry = entry.or(label);
        }
        now.retain(|brand, label| {
            let is_same = known.get(brand).map(String::as_str) == *label;
            !is_same && (label.is_some() || !is_unknown(&root.join(brand.kind().as_str())))
        });
        Ok(now.into_iter().map(|(brand, label)| (brand, label.map(str::to_owned))).collect())
    }

    /// The database says so now.
    pub(super) fn note_labels(&mut self, written: NewLabels) {
        let Some(known) = &mut self.labels else { return };
        for (brand, label) in written {
            match label {
                Some(label) => drop(known.insert(brand, label)),
                None => drop(known.remove(&brand)),
            }
        }
    }
}

/// Writes labels down. Gives back which.
pub(super) async fn write(ledger: &Ledger, mut labels: NewLabels) -> Result<NewLabels, LedgerError> {
    // of several hosts, one whose folder has no label does not know what the others call the brand
    let clears = labels.iter().any(|(_, label)| label.is_none());
    if clears && ledger.report().inboxes().await?.len() > 1 {
        labels.retain(|(_, label)| label.is_some());
    }
    if !labels.is_empty() {
        ledger.set_labels(&labels).await?;
    }
    Ok(labels)
}
