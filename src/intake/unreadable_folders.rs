//! The notice that folders cannot be read, for as long as that lasts: operators hear of it without reading the log.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::{Intake, IntakeError};
use crate::domain::notice::{NoticeName, Written};
use crate::domain::text::shown;

/// What is over so soon is not worth a notice.
const LASTING: Duration = Duration::from_secs(5);

/// The notice's text is written again no sooner than this.
const PAUSE: Duration = Duration::from_secs(10);

/// The notice as it was written last.
#[derive(Debug, Default)]
pub(super) struct UnreadableFolders {
    /// Since when there are some.
    since: Option<Instant>,
    written: Written<String>,
    written_at: Option<Instant>,
}

impl UnreadableFolders {
    /// When the notice is to be written, as far as it is known.
    pub(super) fn next(&self) -> Option<Instant> {
        let lasting = self.since? + LASTING;
        match self.written {
            Written::Set(_) => None,
            Written::Unknown | Written::Cleared => {
                Some(self.written_at.map_or(lasting, |at| lasting.max(at + PAUSE)))
            }
        }
    }

    /// May a text be written now, which may be another one than before?
    fn is_due(&self, now: Instant) -> bool {
        let paused = self.written_at.is_some_and(|at| now < at + PAUSE);
        !paused && self.since.is_some_and(|since| now >= since + LASTING)
    }
}

impl Intake {
    /// Says which folders cannot be read, and takes it back when all can.
    pub(super) async fn write_unreadable_folders(&mut self) -> Result<(), IntakeError> {
        let (now, totals) = (Instant::now(), self.tracked.totals());
        let count = totals.unreadable + self.unreadable_parents.len();
        if count == 0 {
            self.unreadable_folders.since = None;
            // what could not be read before the start has to be looked at
            let is_known = self.discovered && totals.first_scans_pending == 0 && !self.root.missing;
            if is_known && self.unreadable_folders.written != Written::Cleared {
                self.unreadable_folders.written = Written::Unknown;
                self.ctx.clear_notice(NoticeName::Unreadable).await?;
                self.unreadable_folders.written = Written::Cleared;
            }
            return Ok(());
        }
        self.unreadable_folders.since.get_or_insert(now);
        if !self.unreadable_folders.is_due(now) {
            return Ok(());
        }
        self.unreadable_folders.written_at = Some(now);
        let parents = self.unreadable_parents.iter().map(|(path, why)| (&**path, &**why));
        let Some((path, why)) = parents.chain(self.tracked.unreadable()).min() else { return Ok(()) };
        let wanted = Written::Set(message(count, path, why));
        if let Written::Set(text) = &wanted
            && self.unreadable_folders.written != wanted
        {
            self.unreadable_folders.written = Written::Unknown;
            self.ctx.ledger.set_notice(NoticeName::Unreadable, text).await?;
            self.unreadable_folders.written = wanted;
        }
        Ok(())
    }
}

fn message(count: usize, path: &Path, why: &str) -> String {
    let path = shown(path.as_os_str());
    match count {
        1 => format!("the folder {path} cannot be read, and its files wait ({why})"),
        _ => format!("{count} folders cannot be read, and their files wait; one of them is {path} ({why})"),
    }
}
