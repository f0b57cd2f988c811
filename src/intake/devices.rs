//! On which file systems inotify sees no changes: found out once for each device, of a folder that is open anyway, beside
//! intake's loop: the call may never return.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::files;

/// The name of the network file system, by device.
#[derive(Debug, Clone, Default)]
pub(super) struct RemoteDevices(Arc<Mutex<HashMap<u64, Option<&'static str>>>>);

impl RemoteDevices {
    /// The network file system on which an open folder is; `None`: it is on none. Asks it, the first time.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(super) fn learn(&self, folder: &OwnedFd) -> io::Result<Option<&'static str>> {
        let (device, _) = files::identity_of(folder)?;
        if let Some(known) = self.lock().get(&device) {
            return Ok(*known);
        }
        let remote = files::file_system_of(folder)?;
        self.lock().insert(device, remote);
        Ok(remote)
    }

    /// The network file system that a device is; `None`: it is none, as far as that is known.
    pub(super) fn remote(&self, device: u64) -> Option<&'static str> {
        self.lock().get(&device).copied().flatten()
    }

    /// May a scan ask for files in this folder? Only if it is on a local disk or on this device, as far as the kernel has that in
    /// memory: somebody else's file system may not answer.
    pub(super) fn may_ask(&self, folder: &Path, device: Option<u64>) -> bool {
        let there = files::place_in_memory(folder).map(|place| place.device);
        there.map_or(true, |there| Some(there) == device || self.is_local(there))
    }

    /// Is it known to be none?
    pub(super) fn is_local(&self, device: u64) -> bool {
        self.lock().get(&device).is_some_and(Option::is_none)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Option<&'static str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
