//! How many files and sockets the process may have open, and how they are shared. Running out of them looks
//! like a problem with a file or a cloud, so nobody takes more than a share.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The database and its readers, the watcher, the log, signals, eight folders that are looked at and the files in
/// them that are read.
const OURS: u64 = 72;

/// A file, its connection to OSS, and one to the gateway.
const UPLOAD: u64 = 3;

/// More is never needed.
const ENOUGH: u64 = 65_536;

/// Asks for as many as may be asked for: what shells and service managers allow at first is for programs that cannot
/// do with more.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if limit.current.is_some_and(|current| current < wanted) {
        // it works with fewer too
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}

/// How many the process may have open.
pub(crate) fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH)
}

/// How many visitors of the page are served at a time, of those that were meant to be.
pub(crate) fn visitors(meant: usize) -> usize {
    meant.min(usize::try_from(limit() / 8).unwrap_or(usize::MAX)).max(1)
}

/// How many uploads there may be at a time, of those that were meant to be.
pub(crate) fn uploads(meant: u32) -> u32 {
    share(limit(), meant)
}

fn share(limit: u64, meant: u32) -> u32 {
    let left = limit.saturating_sub(OURS + limit / 8);
    u32::try_from(left / UPLOAD).unwrap_or(u32::MAX).clamp(1, meant.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_get_what_is_left() {
        for (limit, meant, uploads) in [
            (65_536, 64, 64),
            (1024, 64, 64),
            (1024, 1000, 274),
            (128, 64, 13),
            (128, 4, 4),
            (64, 64, 1),
            (0, 4, 1),
        ] {
            assert_eq!(share(limit, meant), uploads, "{limit} {meant}");
        }
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert!(limit.current.is_none_or(|now| now >= limit.maximum.unwrap_or(ENOUGH).min(ENOUGH)));
    }
}
