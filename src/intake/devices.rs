//! On which file systems inotify sees no changes: found out once for each device, where the folder is listed anyway,
//! because the call may never return.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::discovery::Discovery;
use crate::files::{self, Identity};

/// The name of the network file system, by device.
#[derive(Debug, Clone, Default)]
pub(super) struct RemoteDevices(Arc<Mutex<HashMap<u64, Option<&'static str>>>>);

impl RemoteDevices {
    /// Asks what the folder, which has this identity, is on. Blocks.
    pub(super) fn learn(&self, path: &Path, (device, _): Identity) {
        if self.lock().contains_key(&device) {
            return;
        }
        // another folder may be there by now
        if let Some((_, remote)) = files::named_file_system(path).ok().filter(|(there, _)| *there == device) {
            self.lock().insert(device, remote);
        }
    }

    /// As `learn`, for all folders that were found.
    pub(super) fn learn_all(&self, discovery: &Discovery) {
        let folders = discovery.folders.iter().map(|folder| (&folder.path, folder.identity));
        let all = discovery.parents.iter().map(|(path, identity)| (path, *identity)).chain(folders);
        all.for_each(|(path, identity)| identity.into_iter().for_each(|identity| self.learn(path, identity)));
    }

    /// The network file system that a device is; `None`: it is none, as far as that is known.
    pub(super) fn remote(&self, device: u64) -> Option<&'static str> {
        self.lock().get(&device).copied().flatten()
    }

    /// Is it known to be none?
    pub(super) fn is_local(&self, device: u64) -> bool {
        self.lock().get(&device).is_some_and(Option::is_none)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Option<&'static str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
