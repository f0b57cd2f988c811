//! What is to be told: what the table has that was not told yet.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::text::visible;
use crate::ledger::{Notice, PendingAlerts, StatusRow};

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
    pub(super) failed: u64,
    pub(super) rejected: u64,
    /// Some of them.
    pub(super) files: Vec<Refused>,
    /// What began to hold everything up, and what does no longer: names of notices and their messages. What began
    /// and ended between two alerts was not worth one.
    pub(super) begun: BTreeMap<String, String>,
    pub(super) over: BTreeMap<String, String>,
}

impl Digest {
    pub(super) fn new(news: &PendingAlerts, standing: &BTreeMap<String, String>) -> Self {
        let without = |some: &BTreeMap<String, String>, others: &BTreeMap<String, String>| {
            some.iter()
                .filter(|(name, _)| !others.contains_key(*name))
                .map(|(name, message)| (name.clone(), message.clone()))
                .collect()
        };
        Self {
            failed: news.failed,
            rejected: news.rejected,
            files: news.files.iter().map(refused).collect(),
            begun: without(standing, &news.delivered),
            over: without(&news.delivered, standing),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.failed + self.rejected == 0 && self.begun.is_empty() && self.over.is_empty()
    }

    /// How many refused files are not named.
    pub(super) fn unnamed(&self) -> u64 {
        (self.failed + self.rejected).saturating_sub(self.files.len() as u64)
    }
}

fn refused(row: &StatusRow) -> Refused {
    Refused {
        id: row.id,
        brand: format!("{}/{}", row.brand_type, row.brand_id),
        file_name: visible(&row.file_name),
        state: row.state.clone(),
        error_kind: row.error_kind.clone(),
        error_code: row.error_code.clone(),
        error_message: row.error_message.clone(),
    }
}

/// Notices as they are compared.
pub(super) fn by_name(notices: Vec<Notice>) -> BTreeMap<String, String> {
    notices.into_iter().map(|notice| (notice.name, notice.message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notices(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), format!("{name} it is"))).collect()
    }

    #[test]
    fn what_stands_and_was_not_told_begins_and_what_was_told_and_stands_no_more_is_over() {
        let news = PendingAlerts { delivered: notices(&["root", "paused"]), ..PendingAlerts::default() };
        let digest = Digest::new(&news, &notices(&["paused", "suspended"]));
        assert_eq!(digest.begun.keys().collect::<Vec<_>>(), ["suspended"]);
        assert_eq!(digest.over.keys().collect::<Vec<_>>(), ["root"]);
        assert!(Digest::new(&news, &notices(&["root", "paused"])).is_empty());
    }
}
