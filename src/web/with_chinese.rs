//! Rows for the page: with their messages in Chinese too, since a page's reader may change the language at any time.

use serde::Serialize;

use crate::domain::texts::detail_in_chinese;
use crate::ledger::{AttemptRow, Notice, StatusRow};

/// A row that may say what went wrong.
pub(super) trait HasMessage {
    /// In English.
    fn message(&self) -> Option<&str>;
}

impl HasMessage for StatusRow {
    fn message(&self) -> Option<&str> {
        self.error_message.as_deref()
    }
}

impl HasMessage for AttemptRow {
    fn message(&self) -> Option<&str> {
        self.error_message.as_deref()
    }
}

impl HasMessage for Notice {
    fn message(&self) -> Option<&str> {
        Some(&self.message)
    }
}

/// A row, and what it says in Chinese, if it is a text of ours.
#[derive(Debug, Serialize)]
pub(super) struct WithChinese<T> {
    #[serde(flatten)]
    row: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_zh: Option<String>,
}

impl<T: HasMessage> From<T> for WithChinese<T> {
    fn from(row: T) -> Self {
        Self { message_zh: row.message().and_then(detail_in_chinese), row }
    }
}

/// All of them.
pub(super) fn said<T: HasMessage>(rows: Vec<T>) -> Vec<WithChinese<T>> {
    rows.into_iter().map(WithChinese::from).collect()
}
