//! The only place where a watched file is opened or looked at.
//!
//! Links are never followed and nothing but regular files is opened: the name is resolved beneath the brand's
//! folder, and what counts is the `fstat` of the descriptor that came out.

mod disk;
mod file_system;
mod look;
mod mounts;
mod named;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::path::Arg;

pub use disk::LocalDisks;
pub(crate) use file_system::FUSE;
pub use file_system::{file_system_of, remote_file_system};
pub use look::{FileMeta, Kind, look, look_as, look_at, stamp};
use look::{MOUNTED, kind_of};
pub use named::{
    make_folder_in, make_named_folder, named_identity, named_identity_in_memory, open_named_folder,
};

/// How a file is opened: a link is not followed, and nothing makes it wait (a FIFO, a lease).
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// How a folder is opened that is found already.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How a name in a folder is resolved.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// A folder that the operator named, with brands' folders below it.
#[derive(Debug)]
pub struct Top<'p> {
    path: &'p Path,
    there: OwnedFd,
}

impl<'p> Top<'p> {
    /// Finds it.
    ///
    /// # Errors
    /// As of `open_named_folder`.
    pub fn find(path: &'p Path) -> io::Result<Self> {
        Ok(Self { path, there: named::resolve(path)? })
    }

    /// Opens a folder below it. Nothing between the two may be a link.
    ///
    /// # Errors
    /// Those of `open`; `InvalidInput` when the folder is not below it, `PermissionDenied` when somebody else's program serves
    /// what is mounted on the way.
    pub fn open(&self, path: &Path) -> io::Result<OwnedFd> {
        let below = path.strip_prefix(self.path).map_err(|_| io::ErrorKind::InvalidInput)?;
        let there = named::resolve_below(&self.there, below)?;
        Ok(fs::openat(there, ".", FOLDER, Mode::empty())?)
    }
}

/// Opens a brand's folder: beneath `top`, or as the operator named it.
///
/// # Errors
/// Those of `open`.
pub fn open_brand_folder(top: Option<&Path>, folder: &Path) -> io::Result<OwnedFd> {
    match top {
        Some(top) => Top::find(top)?.open(folder),
        None => open_named_folder(folder),
    }
}

/// Where a folder is, from what the kernel has in memory: no file system is asked, so that it does not wait.
///
/// # Errors
/// Those of `openat2`: `WouldBlock` when that does not suffice; `LOOP` when a link is on the path, `INVAL` before Linux 5.12.
pub fn place_in_memory(folder: &Path) -> io::Result<Place> {
    place_of(named::in_memory(folder)?)
}

/// Opens a folder in a folder. It may be no link, and nothing may be mounted on it.
///
/// # Errors
/// Those of `open`; `CrossesDevices` when something is mounted there.
pub fn open_folder_in(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    match fs::openat2(&folder, name, FOLDER, Mode::empty(), BENEATH | ResolveFlags::NO_XDEV) {
        // kernels before 5.6, and sandboxes that do not know the call
        Err(Errno::NOSYS | Errno::PERM) => Ok(fs::openat(&folder, name, FOLDER, Mode::empty())?),
        opened => Ok(opened?),
    }
}

/// Opens a regular file in a folder for reading; links and special files are refused, and a FIFO does not
/// make it wait.
///
/// # Errors
/// Those of `open`; `InvalidInput` when the name stands for no regular file.
pub fn open_regular(folder: impl AsFd, name: &OsStr) -> io::Result<File> {
    // nothing that is mounted on a file's name is one
    let here = BENEATH | ResolveFlags::NO_XDEV;
    let opened = match fs::openat2(&folder, name, READ, Mode::empty(), here) {
        // kernels before 5.6, and sandboxes that do not know the call
        Err(Errno::NOSYS | Errno::PERM) => fs::openat(&folder, name, READ, Mode::empty()),
        other => other,
    };
    let file = File::from(opened.map_err(refused)?);
    match kind_of(fs::fstat(&file)?.st_mode) {
        Kind::Regular => Ok(file),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// Opens a regular file that somebody named on the command line: links are followed.
///
/// # Errors
/// Those of `open`; `InvalidInput` when the name stands for no regular file.
pub fn open_named(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(fs::openat(fs::CWD, path, flags, Mode::empty()).map_err(refused)?);
    match kind_of(fs::fstat(&file)?.st_mode) {
        Kind::Regular => Ok(file),
        Kind::Folder => Err(io::Error::new(io::ErrorKind::InvalidInput, "a folder, not a file")),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

fn refused(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => io::Error::new(io::ErrorKind::InvalidInput, "a symbolic link"),
        Errno::XDEV => io::Error::new(io::ErrorKind::InvalidInput, MOUNTED),
        // a socket or a device without a driver
        Errno::NXIO | Errno::NODEV => io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"),
        other => other.into(),
    }
}

/// Which file system an open file or folder is on.
///
/// # Errors
/// Those of `fstat`.
pub fn device(file: impl AsFd) -> io::Result<u64> {
    Ok(fs::fstat(file)?.st_dev)
}

/// Renames without ever replacing. NFS does not know how; there a second name is made and the first taken away.
///
/// # Errors
/// Those of `renameat2`; `EXIST` when something has the name.
pub fn rename_new(
    from: impl AsFd,
    name: impl Arg + Copy,
    to: impl AsFd,
    target: impl Arg + Copy,
) -> rustix::io::Result<()> {
    match fs::renameat_with(&from, name, &to, target, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::linkat(&from, name, &to, target, AtFlags::empty())?;
            fs::unlinkat(&from, name, AtFlags::empty())
        }
        done => done,
    }
}

/// Device and inode: something else that is mounted or put in a path's place has others.
pub type Identity = (u64, u64);

/// What stands at a path now.
///
/// # Errors
/// Those of `stat`.
pub fn identity(path: &Path) -> io::Result<Identity> {
    let stat = fs::stat(path)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Which folder is open. Its file system is not asked.
///
/// # Errors
/// Those of `statx`.
pub fn identity_of(folder: impl AsFd) -> io::Result<Identity> {
    let known = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    Ok(identity_in_look(&fs::statx(folder, "", known, StatxFlags::INO)?))
}

fn identity_in_look(look: &fs::Statx) -> Identity {
    (fs::makedev(look.stx_dev_major, look.stx_dev_minor), look.stx_ino)
}

/// Which folder has this name in another one. No link is followed, and what may be mounted there is not asked.
///
/// # Errors
/// Those of `statx`; `NotADirectory` when it is none.
pub fn identity_in(folder: impl AsFd, name: &OsStr) -> io::Result<Identity> {
    let known = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    let look = fs::statx(folder, name, known, StatxFlags::TYPE | StatxFlags::INO)?;
    match kind_of(look.stx_mode.into()) {
        Kind::Folder => Ok(identity_in_look(&look)),
        _ => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// Is a file surely not in its brand's folder, which is opened as by `open_brand_folder`? It is not where something else stands in
/// the folder's place, as a link.
pub fn is_missing(top: Option<&Path>, path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return false };
    let look = open_brand_folder(top, folder).and_then(|folder| look(folder, name));
    look.is_err_and(|error| {
        [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind())
            || error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
    })
}

/// Is a file system mounted here? (Kernels before 5.8 do not say so; then another device than its parent's counts.)
///
/// # Errors
/// Those of `statx`.
pub fn is_mount_point(path: &Path) -> io::Result<bool> {
    is_mounted_on(fs::openat(
        fs::CWD,
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// As `is_mount_point`, of an open folder.
///
/// # Errors
/// As of `is_mount_point`.
pub fn is_mounted_on(folder: impl AsFd) -> io::Result<bool> {
    place_of(folder).map(|place| place.is_mount_point)
}

/// What is known of an open folder's file system without asking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The device.
    pub device: u64,
    /// Is it mounted there?
    pub is_mount_point: bool,
    /// Is it one of this machine? (`false` says no more than that this is not known.)
    pub is_local: bool,
    /// Whose the folder is, if it is neither root's nor this process's user's.
    pub stranger: Option<u32>,
}

/// Where an open folder is.
///
/// # Errors
/// Those of `statx`.
pub fn place_of(folder: impl AsFd) -> io::Result<Place> {
    let known = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let look = fs::statx(&folder, "", known, StatxFlags::INO | StatxFlags::MNT_ID | StatxFlags::UID)?;
    let (device, _) = identity_in_look(&look);
    let is_mount_point = match look.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
        true => look.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        false => fs::statat(&folder, "..", AtFlags::empty()).is_ok_and(|above| above.st_dev != device),
    };
    let stranger = (!mounts::is_trusted(look.stx_uid)).then_some(look.stx_uid);
    Ok(Place { device, is_mount_point, is_local: mounts::is_local(&look), stranger })
}

/// May this process write there?
///
/// # Errors
/// Those of `access`: `ROFS`, `PERM` (it is immutable), `ACCESS`.
pub fn can_write(path: &Path) -> io::Result<()> {
    Ok(fs::accessat(fs::CWD, path, fs::Access::WRITE_OK, AtFlags::EACCESS)?)
}

/// Is there no room left where this file is to be written?
pub fn is_full(path: &Path) -> bool {
    // a page of SQLite and its place in the WAL
    const LEAST: u64 = 64 * 1024;
    fs::statvfs(path).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn mount_points_are_known() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_mount_point(folder.path()).unwrap());
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        assert!(is_mount_point(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), b"x").unwrap();
        symlink(path("file"), path("link")).unwrap();
        std::fs::create_dir(path("folder.jpg")).unwrap();
        fs::mknodat(fs::CWD, path("fifo"), fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        let open = |name: &str| open_regular(open_named_folder(folder.path()).unwrap(), OsStr::new(name));
        assert_eq!(stamp(open("file").unwrap()).unwrap().size, 1);
        for name in ["link", "folder.jpg", "fifo", "socket", "../file"] {
            assert!(open(name).is_err(), "{name}");
        }
    }

    #[test]
    fn no_link_is_followed_below_the_top() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("real/OWNBRAND/1")).unwrap();
        std::fs::create_dir_all(path("elsewhere/1")).unwrap();
        symlink(path("real"), path("root")).unwrap();
        symlink(path("elsewhere"), path("real/OTHERBRAND")).unwrap();
        symlink(path("elsewhere/1"), path("real/OWNBRAND/2")).unwrap();
        let open = |name: &str| open_brand_folder(Some(&path("root")), &path(name));
        assert!(open("root/OWNBRAND/1").is_ok(), "the top itself may be a link");
        for name in
            ["root/OTHERBRAND/1", "root/OWNBRAND/2", "root/OWNBRAND/1/../../../elsewhere", "elsewhere/1"]
        {
            assert!(open(name).is_err(), "{name}");
        }
    }
}
