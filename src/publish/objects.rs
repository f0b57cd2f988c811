//! One object, one file. The gateway names the object; when it names the same one for two files, the second would
//! overwrite the first, and both would be `uploaded`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use super::{Shared, WRITE_AGAIN};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::visible;
use crate::ledger::{Claim, Holder};

/// Which file is on its way into which object. The table knows only of those that have arrived.
#[derive(Debug, Default)]
pub(super) struct Objects(Mutex<HashMap<String, Holder>>);

impl Objects {
    /// Takes an object for a claim, unless another one has it.
    fn take(&self, object_url: &str, claim: &Claim) -> Result<(), Holder> {
        match self.lock().entry(object_url.to_owned()) {
            Entry::Occupied(entry) if entry.get().id != claim.id() => Err(entry.get().clone()),
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(entry) => {
                let file_name = name(claim);
                entry.insert(Holder { id: claim.id(), brand: claim.brand, file_name, slot: claim.slot });
                Ok(())
            }
        }
    }

    /// A claim has ended, and the table says how.
    pub(super) fn give_back(&self, claim: &Claim) {
        self.lock().retain(|_, holder| holder.id != claim.id());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Holder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(claim: &Claim) -> String {
    claim.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Shared {
    /// Makes sure that this object is nobody else's, before anything is sent there.
    pub(super) async fn take_object(&self, object_url: &str, claim: &Claim) -> Result<(), Failure> {
        self.objects.take(object_url, claim).map_err(|holder| taken(object_url, claim, &holder))?;
        loop {
            match self.ledger.holder(object_url, claim.id()).await {
                Ok(None) => return Ok(()),
                Ok(Some(holder)) => return Err(taken(object_url, claim, &holder)),
                Err(error) if error.is_transient() => {
                    self.ledger.complain(&error);
                    tokio::time::sleep(WRITE_AGAIN).await;
                }
                // a database that cannot be read any more ends the attempt when it is to be written
                Err(error) => {
                    tracing::error!(id = claim.id().0, %error, "cannot ask whose object it is");
                    return Ok(());
                }
            }
        }
    }
}

fn taken(object_url: &str, claim: &Claim, holder: &Holder) -> Failure {
    let message = format!(
        "the gateway wants {} in the object of {} (slot {} of {}), {object_url}: nothing was sent, or one would \
         overwrite the other; its uploadUrl must differ for each index",
        visible(&name(claim)),
        visible(&holder.file_name),
        holder.slot,
        holder.brand,
    );
    Failure::new(ErrorKind::BadUploadUrl, message)
}
