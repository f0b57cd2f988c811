//! What is mounted, as the kernel lists it: who serves a file system, and whether a look at a file there may be stale.
//!
//! Whoever calls into a file system that a program of somebody else serves (FUSE) may wait for ever, and cannot be killed
//! meanwhile. So none is called: what is mounted where is known without asking it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{self, AtFlags, Mode, OFlags, Statx, StatxFlags};
use rustix::process::geteuid;

/// File systems of this machine, whose looks at files are exact without asking anybody.
const LOCAL: [&str; 12] =
    ["bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "vfat", "xfs", "zfs"];

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

/// The kernel's list of mounts.
const LIST: &str = "/proc/self/mountinfo";

/// The mounts by their numbers. A number can come again for another mount, but not for one of a place that is open.
#[derive(Debug)]
struct Table {
    /// Says when there is another list.
    list: OwnedFd,
    mounts: HashMap<u64, Mount>,
}

impl Table {
    fn read() -> io::Result<Self> {
        let list = fs::open(LIST, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = Vec::new();
        File::from(list.try_clone()?).read_to_end(&mut text)?;
        Ok(Self { list, mounts: String::from_utf8_lossy(&text).lines().filter_map(read).collect() })
    }

    /// Is this still the kernel's list? As `proc_pid_mountinfo(5)` has it: what changed is an error and a priority event.
    fn is_current(&self) -> bool {
        let mut list = [PollFd::new(&self.list, PollFlags::PRI | PollFlags::ERR)];
        poll(&mut list, Some(&Timespec::default())).is_ok_and(|count| count == 0)
    }
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
/// `PermissionDenied` when it is, `WouldBlock` when it was unmounted in this moment; those of reading the list of mounts.
pub(super) fn check(place: impl AsFd) -> io::Result<()> {
    let known = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    match mount(&fs::statx(place, "", known, StatxFlags::MNT_ID)?)? {
        Some(Mount { served_by: Some(user), .. }) if !is_trusted(user) => Err(foreign(user)),
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
    if !table.as_ref().is_some_and(Table::is_current) {
        *table = match Table::read() {
            Ok(current) => Some(current),
            // there is no such list, as in a chroot
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
    }
    let found = table.as_ref().and_then(|table| table.mounts.get(&look.stx_mnt_id)).copied();
    found.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::WouldBlock, "it is being unmounted"))
}

/// A line of the list, see `proc_pid_mountinfo(5)`. One that names no user is served by the kernel or by root.
fn read(line: &str) -> Option<(u64, Mount)> {
    let number = line.split(' ').next()?.parse().ok()?;
    let (_, rest) = line.split_once(" - ")?;
    let kind = rest.split(' ').next()?;
    let is_served = ["fuse", "fuseblk"].contains(&kind.split('.').next()?);
    let options = rest.rsplit(' ').next()?;
    let user = options.split(',').find_map(|option| option.strip_prefix("user_id="));
    let served_by = is_served.then(|| user.and_then(|user| user.parse().ok()).unwrap_or(0));
    Some((number, Mount { served_by, is_local: LOCAL.contains(&kind) }))
}

pub(super) fn is_trusted(user: u32) -> bool {
    [0, geteuid().as_raw()].contains(&user)
}

fn foreign(user: u32) -> io::Error {
    let text = format!(
        "it is on a file system that a program of the user with the number {user} serves (FUSE), who could hold the service up; only \
         those that root or the service's user has mounted are read"
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
        assert_eq!(mount("95 22 7:0 / /x rw - fuseblk.sub /dev/loop0 rw,user_id=7").1, of(Some(7), false));
        assert_eq!(mount("94 22 0:60 / /nas rw - nfs4 nas:/x rw,vers=4.2"), (94, of(None, false)));
        assert_eq!(read("no line of the list"), None);
    }

    #[test]
    fn what_the_kernel_serves_may_be_read_and_is_local_or_not() {
        let open = |path: &str| crate::files::open_named_folder(path.as_ref()).unwrap();
        check(open("/")).unwrap();
        let look = fs::statx(open("/proc"), "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).unwrap();
        assert!(!is_local(&look));
        assert_eq!(mount(&look).unwrap(), Some(Mount { served_by: None, is_local: false }));
    }
}
