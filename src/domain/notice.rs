//! Notices: why files wait, or what else needs an operator, for as long as that lasts.

use super::word::words;

words! {
    /// What a notice is about. In the order of their words, in which alerts list them.
    pub enum NoticeName("notice") {
        /// Files wait for a host that was not heard of for long.
        Away = "away",
        /// The clouds take nothing: the circuit breaker is open.
        Paused = "paused",
        /// The database was rebuilt, and files are held until an operator decides.
        Rebuilt = "rebuilt",
        /// The watched folder is not there.
        Root = "root",
        /// An operator has paused the uploads.
        Suspended = "suspended",
        /// A cloud asks to slow down and takes nothing.
        Throttled = "throttled",
        /// Folders of brands cannot be read.
        Unreadable = "unreadable",
        /// The page cannot be served.
        Unserved = "unserved",
    }
}

words! {
    /// Why uploads pause by themselves: the circuit breaker is open.
    pub enum PauseCause("cause of a pause") {
        /// The gateway does not accept our credentials.
        Credentials = "credentials",
        /// The gateway or OSS is down.
        Outage = "outage",
    }
}

/// One notice in the ledger. What was written before the start is unknown, and so is the result of a commit that
/// failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Written<T> {
    #[default]
    Unknown,
    Set(T),
    Cleared,
}

impl<T> From<Option<T>> for Written<T> {
    fn from(notice: Option<T>) -> Self {
        notice.map_or(Written::Cleared, Written::Set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_sort_by_their_words() {
        assert!(NoticeName::ALL.is_sorted() && NoticeName::ALL.is_sorted_by_key(|name| name.as_str()));
    }
}
