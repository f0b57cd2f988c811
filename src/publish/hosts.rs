//! To which host pictures go. The gateway says so with every grant; when it says something new, a person should know.

use std::sync::{Mutex, PoisonError};

use url::Url;

use super::Shared;
use crate::domain::event;

/// The hosts of this run, the newest last.
#[derive(Debug, Default)]
pub(super) struct Hosts(Mutex<Vec<String>>);

impl Hosts {
    fn is_known(&self, host: &str) -> bool {
        self.lock().iter().any(|known| known == host)
    }

    /// Gives back the newest one before.
    fn learn(&self, host: &str) -> Option<String> {
        let mut known = self.lock();
        let before = known.last().cloned();
        known.push(host.to_owned());
        before
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// A picture was taken at this host. Before the first one of a run, the table knows where the last one went.
    pub(super) async fn learn_host(&self, host: &str) {
        if self.hosts.is_known(host) {
            return;
        }
        let recorded = self.ledger.last_object_url().await.ok().flatten();
        let recorded = recorded.and_then(|url| Some(Url::parse(&url).ok()?.host_str()?.to_owned()));
        let before = self.hosts.learn(host).or(recorded);
        if let Some(before) = before.filter(|before| before != host) {
            tracing::warn!(
                message_id = event::HOST_CHANGED,
                "pictures go to {host} now; before, they went to {before}. If nobody meant that, `brandpost pause` and ask \
                 the platform; oss.bucket and oss.allowed_hosts pin where they may go"
            );
        }
    }
}
