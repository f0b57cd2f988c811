//! Other processes write too: `brandpost retry`, a backup that is put back.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::engine::sql;
use super::error::Result;
use super::{Ledger, Place, with_suffix};

const VERSION: &str = "PRAGMA data_version";

/// While nobody writes, the looks are so many times as far apart: each wakes an idle daemon.
const QUIET: u32 = 4;

/// Two writes within a tick of the kernel's clock have the same time: after the time has changed, it is asked so often.
const ASKED_AGAIN: u32 = 3;

impl Ledger {
    /// Looks for writes of others. With SQLite: of other processes, for as long as the database's file is where it was. On the only connection
    /// that writes, `PRAGMA data_version` changes when others have written; it is asked while the WAL's time changes.
    ///
    /// # Errors
    /// When the file was deleted or replaced.
    pub async fn watch_other_processes(&self, every: Duration) -> Result<()> {
        let Place::File(path, _) = &*self.place else { return self.watch_other_hosts().await };
        let (mut seen, mut wal) = (None::<i64>, Unchanged::default());
        loop {
            match self.restore_if_deleted().await {
                // only here what was written can still be read: it is tried until there is room for it
                Err(error) if error.is_transient() => self.report_problem(&error),
                firm => firm?,
            }
            let quiet = wal.looks(written_at(&with_suffix(path, "-wal"))) >= ASKED_AGAIN;
            if !quiet {
                let version = sql(VERSION).scalar(&self.session.pool).await;
                match version {
                    Ok(version) if seen.replace(version).is_some_and(|before| before != version) => {
                        self.heard_of_others();
                    }
                    Ok(_) => {}
                    // those who need the database meet the error too, and log it
                    Err(_) => wal = Unchanged::default(),
                }
            }
            tokio::time::sleep(if quiet { every * QUIET } else { every }).await;
        }
    }
}

/// A time of a file that is looked at again and again.
#[derive(Debug, Default)]
struct Unchanged {
    time: Option<SystemTime>,
    looks: u32,
}

impl Unchanged {
    /// How many looks have found this time before; none, as long as it is not known.
    fn looks(&mut self, time: Option<SystemTime>) -> u32 {
        let is_same = time.is_some() && time == self.time;
        (self.time, self.looks) = (time, if is_same { self.looks.saturating_add(1) } else { 0 });
        self.looks
    }
}

fn written_at(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_stays_is_counted_and_one_that_is_unknown_is_not() {
        let (mut wal, time) = (Unchanged::default(), SystemTime::UNIX_EPOCH);
        let later = time + Duration::from_millis(4);
        let times = [None, None, Some(time), Some(time), Some(time), Some(later), None, None];
        assert_eq!(times.map(|time| wal.looks(time)), [0, 0, 0, 1, 2, 0, 0, 0]);
    }
}
