//! Brands' labels, kept in step with the names of their folders.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::discovery::BrandFolder;
use super::{Intake, IntakeError};
use crate::domain::brand::BrandKey;

/// The labels that the database has, of the brands that have one; `None`: it was not asked yet.
pub(super) type Labels = Option<HashMap<BrandKey, String>>;

impl Intake {
    /// Tells the database what brands are called by now: that of `[[brand]]` first, else that of the first folder with
    /// one. A brand without any has none, unless its type's folder could not be read.
    pub(super) async fn update_labels(
        &mut self,
        found: &[BrandFolder],
        is_unknown: impl Fn(&Path) -> bool,
    ) -> Result<(), IntakeError> {
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
        // of several hosts, one whose folder has no label does not know what the others call the brand
        let clears = now.values().any(Option::is_none);
        if clears && self.ctx.ledger.report().inboxes().await?.len() > 1 {
            now.retain(|_, label| label.is_some());
        }
        let changed: Vec<_> =
            now.into_iter().map(|(brand, label)| (brand, label.map(str::to_owned))).collect();
        if changed.is_empty() {
            return Ok(());
        }
        self.ctx.ledger.set_labels(&changed).await?;
        for (brand, label) in changed {
            match label {
                Some(label) => drop(known.insert(brand, label)),
                None => drop(known.remove(&brand)),
            }
        }
        Ok(())
    }
}
