//! The content of one message: what the database has that was not delivered yet.

use std::collections::BTreeMap;

use serde::Serialize;

use super::summary::Summary;
use crate::domain::alert::AlertTopic;
use crate::domain::brand::UploadId;
use crate::domain::failure::ErrorKind;
use crate::domain::notice::NoticeName;
use crate::domain::text::visible;
use crate::domain::upload::State;
use crate::ledger::{Notice, PendingAlerts, StatusRow, SummaryRow};

/// A file that was refused.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RefusedFile {
    pub(super) id: UploadId,
    pub(super) brand: String,
    /// What people call it.
    pub(super) label: Option<String>,
    pub(super) file_name: String,
    pub(super) state: State,
    pub(super) error_kind: Option<ErrorKind>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
}

/// A brand whose files that waited are all uploaded, and how its others stand.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Completed {
    pub(super) brand: String,
    pub(super) label: Option<String>,
    pub(super) uploaded: i64,
    pub(super) failed: i64,
    pub(super) rejected: i64,
}

/// What happened since the last alert.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// Nothing did: an operator tries whether messages arrive.
    pub(super) test: bool,
    /// How many files the cloud refused, and how many we refused.
    pub(super) failed: u64,
    pub(super) rejected: u64,
    /// Some of them.
    pub(super) files: Vec<RefusedFile>,
    /// Notices that are new, and those that no longer hold: names and messages. What began and ended between two
    /// messages is in neither.
    pub(super) begun: BTreeMap<NoticeName, String>,
    pub(super) over: BTreeMap<NoticeName, String>,
    /// How many brands have nothing left to send.
    pub(super) completed: u64,
    /// Some of them.
    pub(super) brands: Vec<Completed>,
    /// The day's summary.
    pub(super) summary: Option<Summary>,
}

impl Digest {
    pub(super) fn new(pending: &PendingAlerts, notices: &BTreeMap<NoticeName, String>) -> Self {
        let without = |some: &BTreeMap<NoticeName, String>, others: &BTreeMap<NoticeName, String>| {
            some.iter()
                .filter(|(name, _)| !others.contains_key(*name))
                .map(|(name, message)| (*name, message.clone()))
                .collect()
        };
        Self {
            failed: pending.failed,
            rejected: pending.rejected,
            files: pending.files.iter().map(refused).collect(),
            begun: without(notices, &pending.delivered),
            over: without(&pending.delivered, notices),
            completed: pending.completed,
            brands: pending.brands.iter().map(completed).collect(),
            ..Self::default()
        }
    }

    /// Only what operators want to know.
    pub(super) fn about(mut self, topics: &[AlertTopic]) -> Self {
        for topic in AlertTopic::ALL.into_iter().filter(|topic| !topics.contains(topic)) {
            match topic {
                AlertTopic::Refused => (self.failed, self.rejected, self.files) = (0, 0, Vec::new()),
                AlertTopic::Trouble => self.begun.clear(),
                AlertTopic::Resumed => self.over.clear(),
                AlertTopic::Complete => (self.completed, self.brands) = (0, Vec::new()),
            }
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        // of `files` and `brands` there are none without a count
        let Self { test, failed, rejected, files: _, begun, over, completed, brands: _, summary } = self;
        !test
            && failed + rejected + completed == 0
            && begun.is_empty()
            && over.is_empty()
            && summary.is_none()
    }

    /// How many refused files are not named.
    pub(super) fn unnamed(&self) -> u64 {
        (self.failed + self.rejected).saturating_sub(self.files.len() as u64)
    }
}

fn completed(row: &SummaryRow) -> Completed {
    Completed {
        brand: row.brand().to_string(),
        label: row.label.as_deref().map(visible),
        uploaded: row.uploaded,
        failed: row.failed,
        rejected: row.rejected,
    }
}

fn refused(row: &StatusRow) -> RefusedFile {
    RefusedFile {
        id: row.id,
        brand: row.brand().to_string(),
        label: row.brand_label.as_deref().map(visible),
        file_name: visible(&row.file_name),
        state: row.state,
        error_kind: row.error_kind,
        error_code: row.error_code.clone(),
        error_message: row.error_message.clone(),
    }
}

/// Notices as they are compared.
pub(super) fn by_name(notices: Vec<Notice>) -> BTreeMap<NoticeName, String> {
    notices.into_iter().map(|notice| (notice.name, notice.message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use NoticeName::{Paused, Root, Suspended};

    fn notices(names: &[NoticeName]) -> BTreeMap<NoticeName, String> {
        names.iter().map(|name| (*name, format!("{name} it is"))).collect()
    }

    #[test]
    fn notices_begin_when_they_were_not_delivered_and_are_over_when_they_no_longer_hold() {
        let pending = PendingAlerts { delivered: notices(&[Root, Paused]), ..PendingAlerts::default() };
        let digest = Digest::new(&pending, &notices(&[Paused, Suspended]));
        assert_eq!(digest.begun.keys().collect::<Vec<_>>(), [&Suspended]);
        assert_eq!(digest.over.keys().collect::<Vec<_>>(), [&Root]);
        assert!(Digest::new(&pending, &notices(&[Root, Paused])).is_empty());
    }
}
