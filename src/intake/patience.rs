//! Questions to file systems that may never answer: a dead file server must not hold up those that are well.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an answer is waited for: to one look at a name, and to the reading of a folder.
pub(super) const LOOK: Duration = Duration::from_secs(5);
pub(super) const LIST: Duration = Duration::from_secs(45);

/// What is said when none comes.
pub(super) const SILENT: &str = "its file system does not answer";

/// The paths for which an answer is outstanding. None is asked for twice.
#[derive(Debug, Clone, Default)]
pub(super) struct Patience(Arc<Mutex<HashSet<PathBuf>>>);

impl Patience {
    /// Does `work`, which asks for `path`, on a thread of its own. `None`: there is no answer yet. `LOOK` and `LIST`
    /// are asked for apart.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        path: &Path,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let key = path.join(limit.as_secs().to_string());
        if !self.outstanding().insert(key.clone()) {
            return None;
        }
        let all = self.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let answer = work();
            all.outstanding().remove(&key);
            answer
        });
        tokio::time::timeout(limit, answer).await.ok()?.ok()
    }

    fn outstanding(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_not_asked_twice_and_holds_nobody_up() {
        let (patience, path) = (Patience::default(), Path::new("/dead"));
        let (answer, silence) = mpsc::channel::<()>();
        let dead = tokio::spawn({
            let patience = patience.clone();
            async move { patience.ask(path, LOOK, move || silence.recv()).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(patience.ask(path, LOOK, || 7).await, None);
        assert_eq!(patience.ask(Path::new("/well"), LOOK, || 7).await, Some(7));
        // a paused clock stands still while a thread is at work: the limit is passed by hand
        tokio::time::advance(LOOK).await;
        assert!(dead.await.unwrap().is_none());
        drop(answer);
        while patience.ask(path, LOOK, || 7).await.is_none() {
            tokio::task::yield_now().await;
        }
    }
}
