//! The host that pictures go to. The gateway names it with every grant; when it names another one, a person should
//! know.

use std::sync::{Mutex, PoisonError};

use url::Url;

use crate::domain::event;
use crate::ledger::Ledger;

/// The hosts of this run, the newest last.
#[derive(Debug, Default)]
pub(super) struct Hosts(Mutex<Vec<String>>);

impl Hosts {
    /// A picture was uploaded to this host. The first one of a run is compared with the newest in the ledger.
    pub(super) async fn record(&self, ledger: &Ledger, host: &str) {
        if self.is_known(host) {
            return;
        }
        let recorded = ledger.last_object_url().await.ok().flatten();
        let recorded = recorded.and_then(|url| Some(Url::parse(&url).ok()?.host_str()?.to_owned()));
        let before = self.add(host).or(recorded);
        if let Some(before) = before.filter(|before| before != host) {
            tracing::warn!(
                message_id = event::HOST_CHANGED,
                "pictures go to {host} now; before, they went to {before}. If nobody meant that, `brandpost pause` and ask \
                 the platform; oss.bucket and oss.allowed_hosts pin where they may go"
            );
        }
    }

    fn is_known(&self, host: &str) -> bool {
        self.lock().iter().any(|known| known == host)
    }

    /// Returns the newest one before.
    fn add(&self, host: &str) -> Option<String> {
        let mut known = self.lock();
        let before = known.last().cloned();
        known.push(host.to_owned());
        before
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
