//! What is mounted, as the kernel lists it: who serves a file system, and whether a look at a file there may be stale.
//!
//! Whoever calls into a file system that a program of somebody else serves (FUSE) may wait for ever, and cannot be killed
//! meanwhile. So none is called: what is mounted where is known without asking it.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{self, AtFlags, Statx, StatxFlags};
use rustix::process::geteuid;
use tokio::time::Instant;

/// What is known of a mount is used for so long: its number can come again for another one.
const MEMORY: Duration = Duration::from_secs(5);

/// File systems of this machine, whose looks at files are exact without asking anybody.
const LOCAL: [&str; 12] =
    ["bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "vfat", "xfs", "zfs"];

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

/// The mounts by their numbers, as they were a moment ago.
#[derive(Debug)]
struct Table {
    mounts: HashMap<u64, Mount>,
    read_at: Instant,
}

/// One mounted file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mount {
    /// Who serves it by a program; `None`: the kernel.
    served_by: Option<u32>,
    is_local: bool,
}

/// Makes sure that an open place is not on a file system that a program of somebody else serves.
///
/// # Errors
/// `PermissionDenied` when it is, `WouldBlock` when it was unmounted in this moment.
pub(super) fn check(place: impl AsFd, path: &Path) -> io::Result<()> {
    let known = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    match mount(&fs::statx(place, "", known, StatxFlags::MNT_ID)?)? {
        Some(Mount { served_by: Some(user), .. }) if !is_trusted(user) => Err(foreign(path, user)),
        _ => Ok(()),
    }
}

/// Is what was looked at on a file system of this machine? (`false` says no more than that this is not known.)
pub(super) fn is_local(look: &Statx) -> bool {
    mount(look).is_ok_and(|mount| mount.is_some_and(|mount| mount.is_local))
}

/// What is mounted where one has looked. `None`: this machine does not say (kernels before 5.8).
fn mount(look: &Statx) -> io::Result<Option<Mount>> {
    if look.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return Ok(None);
    }
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let fresh = table.as_ref().filter(|table| now < table.read_at + MEMORY);
    if let Some(mount) = fresh.and_then(|table| table.mounts.get(&look.stx_mnt_id)) {
        return Ok(Some(*mount));
    }
    let Ok(list) = std::fs::read("/proc/self/mountinfo") else { return Ok(None) };
    let mounts: HashMap<_, _> = String::from_utf8_lossy(&list).lines().filter_map(read).collect();
    let found = mounts.get(&look.stx_mnt_id).copied();
    *table = Some(Table { mounts, read_at: now });
    found.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::WouldBlock, "it is being unmounted"))
}

/// A line of the list, see `proc_pid_mountinfo(5)`. One that names no user is served by the kernel or by root.
fn read(line: &str) -> Option<(u64, Mount)> {
    let number = line.split(' ').next()?.parse().ok()?;
    let (_, rest) = line.split_once(" - ")?;
    let kind = rest.split(' ').next()?;
    let is_served = kind == "fuseblk" || kind.split('.').next() == Some("fuse");
    let options = rest.rsplit(' ').next()?;
    let user = options.split(',').find_map(|option| option.strip_prefix("user_id="));
    let served_by = is_served.then(|| user.and_then(|user| user.parse().ok()).unwrap_or(0));
    Some((number, Mount { served_by, is_local: LOCAL.contains(&kind) }))
}

fn is_trusted(user: u32) -> bool {
    [0, geteuid().as_raw()].contains(&user)
}

fn foreign(path: &Path, user: u32) -> io::Error {
    let text = format!(
        "{} is on a file system that a program of the user with the number {user} serves (FUSE), who could hold the service up; only \
         those that root or the service's user has mounted are read",
        path.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Anybody may mount one.
    #[test]
    fn a_file_system_in_userspace_belongs_to_who_mounted_it() {
        let mount = |line: &str| read(line).unwrap();
        let of = |served_by, is_local| Mount { served_by, is_local };
        let root = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw";
        assert_eq!(mount(root), (22, of(None, true)));
        let theirs = "90 22 0:51 / /home/x/mnt rw,nosuid,nodev,relatime - fuse.sshfs a:/b rw,user_id=1000,group_id=1000,allow_other";
        assert_eq!(mount(theirs), (90, of(Some(1000), false)));
        let roots =
            "91 22 0:52 / /pool rw,relatime shared:9 - fuse.mergerfs 1:2 rw,user_id=0,group_id=0,allow_other";
        assert_eq!(mount(roots), (91, of(Some(0), false)));
        assert_eq!(mount("92 22 0:5 / /shared rw,relatime - virtiofs share rw"), (92, of(None, false)));
        assert_eq!(mount("93 22 8:1 / /ntfs rw - fuseblk /dev/sda1 rw,user_id=7"), (93, of(Some(7), false)));
        assert_eq!(mount("94 22 0:60 / /nas rw - nfs4 nas:/x rw,vers=4.2"), (94, of(None, false)));
        assert_eq!(read("no line of the list"), None);
    }

    #[test]
    fn what_the_kernel_serves_may_be_read_and_is_local_or_not() {
        let open = |path: &str| crate::files::open_named_folder(Path::new(path)).unwrap();
        check(open("/"), Path::new("/")).unwrap();
        let look = fs::statx(open("/proc"), "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).unwrap();
        assert!(!is_local(&look));
        assert_eq!(mount(&look).unwrap(), Some(Mount { served_by: None, is_local: false }));
    }
}
