//! One object, one file. The gateway names the object; when it names the same one for two files, the second would
//! overwrite the first, and both would be `uploaded`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use super::database::until_available;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::{file_name, visible};
use crate::ledger::{Claim, Holder, Ledger};

/// Which file is on its way to which object. The ledger knows only the objects that have arrived.
#[derive(Debug, Default)]
pub(super) struct Objects(Mutex<HashMap<String, Holder>>);

impl Objects {
    /// Makes sure that this object is no other file's, before anything is sent there.
    pub(super) async fn reserve(
        &self,
        ledger: &Ledger,
        object_url: &str,
        claim: &Claim,
    ) -> Result<(), Failure> {
        self.take(object_url, claim).map_err(|holder| taken(object_url, claim, &holder))?;
        match until_available(ledger, || ledger.holder(object_url, claim.id())).await {
            Ok(None) => Ok(()),
            Ok(Some(holder)) => Err(taken(object_url, claim, &holder)),
            // a database that fails for good ends publish when the end of this attempt is written
            Err(error) => {
                tracing::error!(id = claim.id().0, %error, "cannot ask whose object it is");
                Ok(())
            }
        }
    }

    /// The attempt has ended, and the ledger knows how.
    pub(super) fn release(&self, claim: &Claim) {
        self.lock().retain(|_, holder| holder.id != claim.id());
    }

    fn take(&self, object_url: &str, claim: &Claim) -> Result<(), Holder> {
        match self.lock().entry(object_url.to_owned()) {
            Entry::Occupied(entry) if entry.get().id != claim.id() => Err(entry.get().clone()),
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(entry) => {
                let file_name = file_name(&claim.path);
                entry.insert(Holder { id: claim.id(), brand: claim.brand, file_name, slot: claim.slot });
                Ok(())
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Holder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken(object_url: &str, claim: &Claim, holder: &Holder) -> Failure {
    let message = format!(
        "the gateway wants {} in the object of {} (slot {} of {}), {object_url}: nothing was sent, or one would \
         overwrite the other; its uploadUrl must differ for each index",
        file_name(&claim.path),
        visible(&holder.file_name),
        holder.slot,
        holder.brand,
    );
    Failure::new(ErrorKind::BadUploadUrl, message)
}
