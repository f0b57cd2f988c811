//! What a local disk gives at once: a file whose path the kernel has in memory is opened without waiting, so that no
//! other thread is needed for it. A network file system, or one in userspace, may never answer.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{self, Mode, ResolveFlags};

use super::{BENEATH, READ, named};

/// File systems that are on a disk of this machine: ext2 to ext4, XFS, F2FS. (`statfs(2)`)
const ON_DISK: [fs::FsWord; 3] = [0xef53, 0x5846_5342, 0xf2f5_2010];

/// Devices that are known to be disks of this machine.
#[derive(Debug, Default)]
pub struct LocalDisks(Mutex<HashSet<u64>>);

impl LocalDisks {
    /// Is an open file on such a disk? From now on that is known of its device. May wait for its file system.
    pub fn learn(&self, file: impl AsFd) -> bool {
        let is_of_a_disk = |device| fs::major(device) != 0 && fs::fstatfs(&file).is_ok_and(is_on_disk);
        match fs::fstat(&file) {
            Ok(stat) if is_of_a_disk(stat.st_dev) => {
                self.lock().insert(stat.st_dev);
                true
            }
            _ => false,
        }
    }

    /// Opens what has this name in a folder for reading, if that needs no waiting: the folder is on a disk that is known, no
    /// link is on its path, and the kernel has all of it in memory. `None` says no more than that. It may be no regular
    /// file; and it is to be closed where one may wait.
    pub fn open(&self, folder: &Path, name: &OsStr) -> Option<File> {
        let cached = ResolveFlags::CACHED | ResolveFlags::NO_SYMLINKS;
        let folder = named::in_memory(folder).ok()?;
        let (device, _) = super::identity_of(&folder).ok()?;
        if !self.lock().contains(&device) {
            return None;
        }
        let here = cached | BENEATH | ResolveFlags::NO_XDEV;
        fs::openat2(&folder, name, READ, Mode::empty(), here).ok().map(File::from)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_on_disk(file_system: fs::StatFs) -> bool {
    ON_DISK.contains(&file_system.f_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_file_is_opened_at_once_where_its_disk_is_known_and_no_link_is_on_its_path() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = folder.path().canonicalize().unwrap();
        std::fs::write(path.join("a"), "a picture").unwrap();
        std::fs::create_dir(path.join("b")).unwrap();
        let disks = LocalDisks::default();
        assert!(disks.open(&path, OsStr::new("a")).is_none(), "nothing is known of its disk");
        let learned = disks.learn(crate::files::open_named(&path.join("a")).unwrap());
        if !learned {
            // the checkout is on no disk (tmpfs, overlay): then nothing may ever be opened at once
            assert!(disks.open(&path, OsStr::new("a")).is_none());
            return;
        }
        let mut text = String::new();
        disks.open(&path, OsStr::new("a")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a picture");
        std::os::unix::fs::symlink(path.join("a"), path.join("link")).unwrap();
        std::os::unix::fs::symlink(&path, path.join("b/folder")).unwrap();
        for (folder, name) in [("", "link"), ("", "none"), ("b/folder", "a"), ("b", "../a"), ("c", "a")] {
            assert!(disks.open(&path.join(folder), OsStr::new(name)).is_none(), "{folder} {name}");
        }
    }

    #[test]
    fn what_is_in_memory_only_is_no_disk() {
        assert!(
            !LocalDisks::default().learn(crate::files::open_named(Path::new("/proc/self/status")).unwrap())
        );
    }
}
