//! A database that is locked, full or read-only for a while: said once, not a thousand times.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::LedgerError;
use crate::domain::event;

/// As long as a trouble lasts, it is said this often.
const REMIND: Duration = Duration::from_hours(1);

/// What is wrong at present.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Current>>);

#[derive(Debug)]
struct Current {
    text: String,
    since: Instant,
    said: Instant,
    times: u64,
}

impl Trouble {
    pub(super) fn note(&self, error: &LedgerError) {
        let text = error.to_string();
        let now = Instant::now();
        let mut current = self.lock();
        match &mut *current {
            Some(current) if current.text == text && now.duration_since(current.said) < REMIND => {
                current.times += 1;
            }
            _ => {
                tracing::error!(
                    message_id = event::DATABASE_TROUBLE,
                    "{text}; the work waits and goes on by itself"
                );
                let (since, times) = current.as_ref().map_or((now, 0), |before| (before.since, before.times));
                *current = Some(Current { text, since, said: now, times: times + 1 });
            }
        }
    }

    /// What is wrong, for whoever asks.
    pub(super) fn text(&self) -> Option<String> {
        self.lock().as_ref().map(|trouble| trouble.text.clone())
    }

    pub(super) fn over(&self) {
        if let Some(trouble) = self.lock().take() {
            let seconds = trouble.since.elapsed().as_secs();
            tracing::info!(
                message_id = event::DATABASE_OVER,
                seconds,
                times = trouble.times,
                "the database can be used again"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Current>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
