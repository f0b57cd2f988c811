//! What kind of file system a path is on.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs;

/// A file system that a program serves, anybody's.
pub(crate) const FUSE: &str = "FUSE";

/// The name of the network (or user-space) file system that a path is on, if it is on one: inotify sees no
/// changes made elsewhere there, and SQLite's locks do not hold. Numbers from `statfs(2)`.
///
/// # Errors
/// Those of `statfs`.
pub fn remote_file_system(path: &Path) -> io::Result<Option<&'static str>> {
    Ok(remote_name(fs::statfs(path)?))
}

/// As `remote_file_system`, of an open folder.
///
/// # Errors
/// Those of `fstatfs`.
pub fn file_system_of(folder: impl AsFd) -> io::Result<Option<&'static str>> {
    Ok(remote_name(fs::fstatfs(folder)?))
}

fn remote_name(file_system: fs::StatFs) -> Option<&'static str> {
    const KNOWN: [(u64, &str); 20] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x6573_5546, FUSE),
        (0x564c, "NCP"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
        (0x7375_7245, "Coda"),
        (0x0102_1997, "9p"),
        (0x7461_636f, "OCFS2"),
        (0x0116_1970, "GFS2"),
        (0x6b41_4653, "AFS"),
        (0x0bd0_0bd0, "Lustre"),
        (0x4750_4653, "GPFS"),
        (0x1983_0326, "BeeGFS"),
        (0xaad7_aaea, "PanFS"),
        // folders of the machine that this virtual machine runs on
        (0x786f_4256, "a VirtualBox shared folder"),
        (0xbacb_acbc, "a VMware shared folder"),
        (0x7c7c_6673, "a Parallels shared folder"),
    ];
    let magic = u64::from_ne_bytes(file_system.f_type.to_ne_bytes()) & 0xffff_ffff;
    KNOWN.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}
