//! Notices: why nothing moves, for as long as nothing does.

use super::word::word;

/// What a notice is about. In the order of their words, in which alerts list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoticeName {
    /// Files wait for a host that was not heard of for long.
    Away,
    /// The clouds take nothing: the circuit breaker is open.
    Paused,
    /// The database was rebuilt, and files are held until an operator decides.
    Rebuilt,
    /// The watched folder is not there.
    Root,
    /// An operator has paused the uploads.
    Suspended,
    /// A cloud asks to slow down and takes nothing.
    Throttled,
    /// The page cannot be served.
    Unserved,
}

impl NoticeName {
    /// All of them.
    pub const ALL: [NoticeName; 7] = [
        NoticeName::Away,
        NoticeName::Paused,
        NoticeName::Rebuilt,
        NoticeName::Root,
        NoticeName::Suspended,
        NoticeName::Throttled,
        NoticeName::Unserved,
    ];

    /// The word in the database, in JSON and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            NoticeName::Away => "away",
            NoticeName::Paused => "paused",
            NoticeName::Rebuilt => "rebuilt",
            NoticeName::Root => "root",
            NoticeName::Suspended => "suspended",
            NoticeName::Throttled => "throttled",
            NoticeName::Unserved => "unserved",
        }
    }
}

word!(NoticeName, "notice");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_as_written_and_sort_by_their_words() {
        for name in NoticeName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
        }
        assert!(NoticeName::ALL.is_sorted() && NoticeName::ALL.is_sorted_by_key(|name| name.as_str()));
    }
}
