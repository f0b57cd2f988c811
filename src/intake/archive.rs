//! The archive: uploaded files lie there as they lay in the inbox, in `TYPE/ID`.
//!
//! Others may have been able to write there. So no link is followed below the archive, a folder that somebody else made
//! is not used, and files are moved by descriptors: what is archived comes to lie in the archive, or stays where it is.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{self, AtFlags, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::domain::brand::BrandKey;
use crate::domain::text::shown;
use crate::domain::upload::Stamp;
use crate::files;

const WRITABLE_BY_OTHERS: u32 = 0o022;

/// No file system takes longer names: bytes.
const LONGEST_NAME: usize = 255;

/// What is longer than this behind the last dot is no suffix, and may be cut: bytes, with the dot.
const LONGEST_SUFFIX: usize = 16;

/// Staff may look in; only the service writes.
const FOLDER: Mode = Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP);

/// How many files of one name there may be.
const MOST_OF_A_NAME: u32 = 1000;

/// Opens a brand's folder in the archive, and makes what is missing.
///
/// # Errors
/// When it cannot be made, there is a link in its place, or it belongs to somebody else.
pub(super) fn open(archive: &Path, brand: BrandKey) -> io::Result<OwnedFd> {
    let mut path = archive.to_owned();
    let mut folder = files::make_named_folder(archive).map_err(|error| named(&path, &error))?;
    let owner = fs::fstat(&folder)?.st_uid;
    for name in [brand.kind().as_str(), &brand.record().to_string()] {
        path.push(name);
        let inner = files::make_folder_in(folder, OsStr::new(name), FOLDER);
        folder =
            inner.and_then(|folder| close_to_others(folder, owner)).map_err(|error| named(&path, &error))?;
    }
    Ok(folder)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", shown(path.as_os_str())))
}

/// The owner of a folder of the archive could take out what comes in. Ours are for nobody else to write.
fn close_to_others(folder: OwnedFd, owner_of_archive: u32) -> io::Result<OwnedFd> {
    let (stat, us) = (fs::fstat(&folder)?, geteuid().as_raw());
    if ![0, us, owner_of_archive].contains(&stat.st_uid) {
        let text = format!(
            "it belongs to another user (number {}): chown it to the service's user, or take it away",
            stat.st_uid
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    if stat.st_uid == us && stat.st_mode & 0o022 != 0 {
        // file systems without rights refuse; then it is as their mount says
        let _ = fs::fchmod(&folder, Mode::from_raw_mode(stat.st_mode & 0o755));
    }
    Ok(folder)
}

/// Moves a file in under the first name that is free. What others can still write, by its owner, its mode or another name,
/// and what is on another file system, is copied: what is archived stays as it is. Nothing but the file with this stamp is.
///
/// # Errors
/// When it cannot be moved, or changes; then it is where it was.
pub(super) fn store(archive: &OwnedFd, from: impl AsFd, name: &OsStr, stamp: Stamp) -> io::Result<()> {
    if is_ours_alone(&from, name)? {
        match rename_to_free(&from, name, archive, name) {
            Err(Errno::XDEV) => {}
            moved => return Ok(moved?),
        }
    }
    let copy = copy(&from, name, archive, stamp)?;
    if let Err(error) = rename_to_free(archive, &copy, archive, name) {
        let _ = fs::unlinkat(archive, &copy, AtFlags::empty());
        return Err(error.into());
    }
    // the original goes last; not every file system can write a folder down on demand
    let _ = fs::fsync(archive);
    Ok(fs::unlinkat(from, name, AtFlags::empty())?)
}

fn is_ours_alone(from: impl AsFd, name: &OsStr) -> io::Result<bool> {
    let stat = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(stat.st_uid == geteuid().as_raw() && stat.st_nlink == 1 && stat.st_mode & WRITABLE_BY_OTHERS == 0)
}

fn rename_to_free(from: impl AsFd, name: &OsStr, to: impl AsFd, wanted: &OsStr) -> rustix::io::Result<()> {
    for free in (1..MOST_OF_A_NAME).map(|number| numbered(wanted, number)) {
        match files::rename_new(&from, name, &to, free.as_os_str()) {
            Err(Errno::EXIST) => {}
            done => return done,
        }
    }
    Err(Errno::EXIST)
}

/// `a.jpg`, `a (2).jpg`, `a (3).jpg`; cut before the number where that would be too long.
fn numbered(name: &OsStr, number: u32) -> OsString {
    if number == 1 {
        return name.to_owned();
    }
    let bytes = name.as_bytes();
    let dot = bytes.iter().rposition(|byte| *byte == b'.');
    let dot = dot.filter(|at| *at > 0 && bytes.len() - at <= LONGEST_SUFFIX);
    let (stem, suffix) = bytes.split_at(dot.unwrap_or(bytes.len()));
    let number = format!(" ({number})");
    let mut end = stem.len().min(LONGEST_NAME - number.len() - suffix.len());
    while end < stem.len() && end > 0 && stem[end] & 0xc0 == 0x80 {
        // not through the middle of a character
        end -= 1;
    }
    OsString::from_vec([&stem[..end], number.as_bytes(), suffix].concat())
}

/// Copies under a hidden name of its own, and gives it back. A copy that a crash left there is replaced. Its owner may make the
/// file longer meanwhile, but the copy grows no longer than the file was.
fn copy(from: impl AsFd, name: &OsStr, to: &OwnedFd, stamp: Stamp) -> io::Result<OsString> {
    let source = files::open_regular(&from, name)?;
    is_still(&source, stamp)?;
    let stat = fs::fstat(&source)?;
    let hidden = OsString::from(format!(".brandpost-{}", stat.st_ino));
    match fs::unlinkat(to, &hidden, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = File::from(fs::openat(to, &hidden, flags, Mode::RUSR | Mode::WUSR)?);
    let copied = io::copy(&mut (&source).take(stamp.size), &mut target).and_then(|_| {
        is_still(&source, stamp)?;
        keep_mode_and_times(&target, &stat);
        target.sync_all()
    });
    match copied {
        Ok(()) => Ok(hidden),
        Err(error) => {
            let _ = fs::unlinkat(to, &hidden, AtFlags::empty());
            Err(error)
        }
    }
}

fn is_still(file: &File, stamp: Stamp) -> io::Result<()> {
    match files::stamp(file)? == stamp {
        true => Ok(()),
        false => Err(io::Error::other("it changed while it was archived")),
    }
}

/// As a rename would have kept them, but for others' right to write. Some file systems have neither.
fn keep_mode_and_times(target: &File, stat: &Stat) {
    let time = |seconds, nanos: u64| Timespec { tv_sec: seconds, tv_nsec: nanos.cast_signed() };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    let _ = fs::fchmod(target, Mode::from_raw_mode(stat.st_mode & 0o777 & !WRITABLE_BY_OTHERS));
    let _ = fs::futimens(target, &times);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_names_are_no_longer_than_names_may_be() {
        let table = [
            ("a.jpg".to_owned(), "a (2).jpg".to_owned()),
            ("a".to_owned(), "a (2)".to_owned()),
            (format!("{}.jpg", "x".repeat(251)), format!("{} (2).jpg", "x".repeat(247))),
            (format!("{}.jpg", "图".repeat(83)), format!("{} (2).jpg", "图".repeat(82))),
            (format!("a.{}", "x".repeat(253)), format!("a.{} (2)", "x".repeat(249))),
        ];
        for (name, second) in table {
            assert_eq!(numbered(OsStr::new(&name), 2), OsStr::new(&second));
            assert!(numbered(OsStr::new(&name), 999).len() <= LONGEST_NAME);
        }
        assert_eq!(numbered(OsStr::from_bytes(&[0xff, b'.', b'g']), 2).as_bytes(), b"\xff (2).g");
    }

    #[test]
    fn a_copy_has_the_mode_and_the_time_of_its_original() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.jpg");
        std::fs::write(&path, "picture").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_000);
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let folder = files::open_named_folder(place.path()).unwrap();
        std::fs::create_dir(place.path().join("to")).unwrap();
        let to = files::open_named_folder(&place.path().join("to")).unwrap();
        // what a crash left
        let left = place.path().join("to").join(format!(".brandpost-{}", path.metadata().unwrap().ino()));
        std::fs::write(&left, "pic").unwrap();
        let stamp = files::look(&folder, OsStr::new("a.jpg")).unwrap().stamp;
        let hidden = copy(&folder, OsStr::new("a.jpg"), &to, stamp).unwrap();
        let copied = place.path().join("to").join(hidden);
        assert_eq!(std::fs::read_to_string(&copied).unwrap(), "picture");
        let (before, after) = (path.metadata().unwrap(), copied.metadata().unwrap());
        assert_eq!(after.mode(), before.mode());
        assert_eq!(after.modified().unwrap(), long_ago);
    }
    /// Its owner can make it as long as he likes, after it was compared with what was sent.
    #[test]
    fn a_file_that_is_no_longer_what_was_sent_is_not_copied() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a.jpg"), "picture").unwrap();
        let others_may_write = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(place.path().join("a.jpg"), others_may_write).unwrap();
        let folder = files::open_named_folder(place.path()).unwrap();
        let stamp = files::look(&folder, OsStr::new("a.jpg")).unwrap().stamp;
        File::options().write(true).open(place.path().join("a.jpg")).unwrap().set_len(1 << 40).unwrap();
        std::fs::create_dir(place.path().join("to")).unwrap();
        let to = files::open_named_folder(&place.path().join("to")).unwrap();
        store(&to, &folder, OsStr::new("a.jpg"), stamp).unwrap_err();
        assert_eq!(std::fs::read_dir(place.path().join("to")).unwrap().count(), 0);
        assert!(place.path().join("a.jpg").exists());
    }
}
