//! What is to be told: gathered until it may be sent.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::text::visible;
use crate::ledger::{Notice, StatusRow};

/// So many files are named; the rest are counted.
const NAMED: usize = 5;

/// A file that was refused.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Refused {
    pub(super) id: i64,
    pub(super) brand: String,
    pub(super) file_name: String,
    pub(super) state: String,
    pub(super) error_kind: Option<String>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
}

/// What happened since the last alert.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// How many files the cloud refused, and how many we refused.
    pub(super) failed: usize,
    pub(super) rejected: usize,
    /// Some of them.
    pub(super) files: Vec<Refused>,
    /// What began to hold everything up.
    pub(super) begun: BTreeMap<String, String>,
    /// What does no longer.
    pub(super) over: BTreeMap<String, String>,
    /// The notices that stand.
    standing: BTreeMap<String, String>,
}

impl Digest {
    /// Notices that stand already are not told.
    pub(super) fn new(notices: &[Notice]) -> Self {
        Self { standing: by_name(notices), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.failed + self.rejected == 0 && self.begun.is_empty() && self.over.is_empty()
    }

    pub(super) fn refused(&mut self, rows: Vec<StatusRow>) {
        for row in rows {
            match row.state.as_str() {
                "failed" => self.failed += 1,
                _ => self.rejected += 1,
            }
            if self.files.len() < NAMED {
                self.files.push(Refused {
                    id: row.id,
                    brand: format!("{}/{}", row.brand_type, row.brand_id),
                    file_name: visible(&row.file_name),
                    state: row.state,
                    error_kind: row.error_kind,
                    error_code: row.error_code,
                    error_message: row.error_message,
                });
            }
        }
    }

    /// What began and ended between two alerts was not worth one.
    pub(super) fn notices(&mut self, notices: &[Notice]) {
        let now = by_name(notices);
        for (name, message) in &now {
            if !self.standing.contains_key(name) && self.over.remove(name).is_none() {
                self.begun.insert(name.clone(), message.clone());
            }
        }
        for (name, message) in &self.standing {
            if !now.contains_key(name) && self.begun.remove(name).is_none() {
                self.over.insert(name.clone(), message.clone());
            }
        }
        self.standing = now;
    }

    pub(super) fn told(&mut self) {
        *self = Self { standing: std::mem::take(&mut self.standing), ..Self::default() };
    }
}

fn by_name(notices: &[Notice]) -> BTreeMap<String, String> {
    notices.iter().map(|notice| (notice.name.clone(), notice.message.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(name: &str) -> Notice {
        Notice { name: name.into(), message: format!("{name} it is"), since: String::new() }
    }

    #[test]
    fn what_passed_before_it_was_told_is_not_told() {
        let mut digest = Digest::new(&[notice("root")]);
        assert!(digest.is_empty());
        digest.notices(&[notice("root"), notice("paused")]);
        assert_eq!(digest.begun.keys().collect::<Vec<_>>(), ["paused"]);
        digest.notices(&[notice("root")]);
        assert!(digest.is_empty());
        digest.notices(&[]);
        assert_eq!(digest.over.keys().collect::<Vec<_>>(), ["root"]);
        digest.told();
        digest.notices(&[notice("paused")]);
        digest.told();
        digest.notices(&[]);
        assert_eq!(digest.over.keys().collect::<Vec<_>>(), ["paused"]);
    }
}
