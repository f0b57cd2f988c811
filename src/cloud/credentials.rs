//! Temporary credentials: for one slot, until a minute before they expire, in memory only.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Secret;
use crate::domain::brand::UploadId;
use crate::domain::clock::later;
use crate::domain::image::Format;

/// So long before its end a grant is not used any more.
const MARGIN: Duration = Duration::from_mins(1);

/// What the gateway grants for one slot.
#[derive(Clone)]
pub struct Grant {
    /// `STS.…`.
    pub access_key_id: String,
    /// Its secret.
    pub access_key_secret: Secret,
    /// The token that goes with it.
    pub security_token: Secret,
    /// OSS's endpoint.
    pub endpoint: String,
    /// Where to put the object; may carry a signature.
    pub upload_url: Secret,
    /// The end of the token.
    pub expiration: Timestamp,
    /// The end of the signature in the URL, if it has one.
    pub url_ends: Option<Timestamp>,
    /// The gateway's id of the request.
    pub request_id: Option<String>,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("endpoint", &self.endpoint)
            .field("expiration", &self.expiration)
            .finish_non_exhaustive()
    }
}

impl Grant {
    /// May it still be used, or used again?
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        lasts(self.expiration, now) && self.url_ends.is_none_or(|end| lasts(end, now))
    }
}

/// Is there time enough until then for an upload?
pub(super) fn lasts(end: Timestamp, now: Timestamp) -> bool {
    later(now, MARGIN) < end
}

/// What a grant was asked for: it is used for nothing else.
type Purpose = (UploadId, u32, Format);

/// Grants that retries of the same upload into the same slot can use again. A claim has one holder, so
/// nobody asks twice for the same at a time.
#[derive(Debug, Default)]
pub struct Grants(Mutex<HashMap<Purpose, Arc<Grant>>>);

impl Grants {
    /// The grant for this, if it can still be used.
    pub fn get(&self, upload: UploadId, slot: u32, format: Format, now: Timestamp) -> Option<Arc<Grant>> {
        self.lock().get(&(upload, slot, format)).filter(|grant| grant.is_fresh(now)).cloned()
    }

    /// Keeps a grant, and forgets those that are over.
    pub fn put(&self, upload: UploadId, slot: u32, format: Format, grant: Arc<Grant>, now: Timestamp) {
        let mut grants = self.lock();
        grants.retain(|_, grant| grant.is_fresh(now));
        grants.insert((upload, slot, format), grant);
    }

    /// Forgets the grants of this upload.
    pub fn forget(&self, upload: UploadId) {
        self.lock().retain(|(id, ..), _| *id != upload);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Purpose, Arc<Grant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
