//! An inbox: the watched folders of one daemon, under one name.

use std::sync::Arc;

/// The number of an inbox in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboxId(pub i64);

/// Whose folders a file was found in. Several hosts have inboxes of their own, and share the brands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// Its number.
    pub id: InboxId,
    /// Its name, as `watch.inbox` has it.
    pub name: Arc<str>,
}

impl Inbox {
    /// An inbox.
    pub fn new(id: InboxId, name: &str) -> Self {
        Self { id, name: name.into() }
    }
}
