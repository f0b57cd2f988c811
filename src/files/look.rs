//! One look at a file or a name: what it is, and its stamp.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{self, AtFlags, FileType, StatxAttributes, StatxFlags};

use crate::domain::upload::Stamp;

/// What is said of a file on which something is mounted.
pub(super) const MOUNTED: &str = "something that is mounted there";

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A FIFO, a socket or a device.
    Special(&'static str),
}

/// One look at a name, without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMeta {
    /// What it is.
    pub kind: Kind,
    /// Size, time of the content, inode.
    pub stamp: Stamp,
    /// When anything about it changed last, nanoseconds since 1970. No program can set this back.
    pub ctime_ns: i64,
}

/// The stamp of an open file.
///
/// # Errors
/// Those of `statx`.
pub fn stamp(file: impl AsFd) -> io::Result<Stamp> {
    Ok(look_at(file)?.stamp)
}

/// An open file as `look` would see it.
///
/// # Errors
/// Those of `statx`.
pub fn look_at(file: impl AsFd) -> io::Result<FileMeta> {
    Ok(meta_of(&fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?))
}

/// Looks at a name in a folder, not at what a link points to, and not at what is mounted there.
///
/// # Errors
/// Those of `statx`.
pub fn look(folder: impl AsFd, name: &OsStr) -> io::Result<FileMeta> {
    look_as(&folder, name, false)
}

/// As `look`, with one call less where a folder `is_local`: there, what the kernel has in memory is exact.
///
/// # Errors
/// As of `look`.
pub fn look_as(folder: impl AsFd, name: &OsStr, is_local: bool) -> io::Result<FileMeta> {
    let known = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    let there = fs::statx(&folder, name, known, StatxFlags::BASIC_STATS)?;
    if there.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Ok(FileMeta { kind: mounted(kind_of(there.stx_mode.into())), ..meta_of(&there) });
    }
    match is_local {
        true => Ok(meta_of(&there)),
        false => Ok(meta_of(&fs::statx(&folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?)),
    }
}

/// What is mounted on the name of a file is none.
fn mounted(kind: Kind) -> Kind {
    if kind == Kind::Folder { kind } else { Kind::Special(MOUNTED) }
}

fn meta_of(look: &fs::Statx) -> FileMeta {
    let nanos = |time: fs::StatxTimestamp| {
        time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.into())
    };
    FileMeta {
        kind: kind_of(look.stx_mode.into()),
        stamp: Stamp { size: look.stx_size, mtime_ns: nanos(look.stx_mtime), inode: look.stx_ino },
        ctime_ns: nanos(look.stx_ctime),
    }
}

pub(super) fn kind_of(mode: u32) -> Kind {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Kind::Regular,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        FileType::Fifo => Kind::Special("a FIFO"),
        FileType::Socket => Kind::Special("a socket"),
        _ => Kind::Special("a device"),
    }
}
