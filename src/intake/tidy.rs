//! After the upload: the local file stays, moves to the archive, or is deleted.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, Dir, Mode};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::archive;
use crate::config::{After, Upload};
use crate::domain::brand::BrandKey;
use crate::domain::upload::Stamp;
use crate::files::{self, Kind};

/// The folder in which a file is between its own folder and its end. Hidden, so that it is never taken for a new one.
pub(super) const STAGING: &str = ".brandpost";

/// Tidies one uploaded file away. It is moved to the staging folder first and compared there: if it is not the
/// file that was uploaded, it is put back.
///
/// # Errors
/// When it cannot be moved or deleted; then it stays where it was.
pub(super) fn tidy(
    rules: &Upload,
    brand: BrandKey,
    folder: impl AsFd,
    name: &OsStr,
    stamp: Stamp,
) -> io::Result<()> {
    if rules.after == After::Keep {
        return Ok(());
    }
    // before the file is touched: an archive that cannot be written must not stir the folder
    let archived =
        (rules.after == After::Archive).then(|| archive::open(&rules.archive, brand)).transpose()?;
    let folder = folder.as_fd();
    let staging = staging(folder)?;
    files::rename_new(folder, name, &staging, name)?;
    let uploaded =
        files::look(&staging, name).is_ok_and(|look| look.kind == Kind::Regular && look.stamp == stamp);
    let done = match (uploaded, archived) {
        (true, Some(archived)) => archive::store(&archived, &staging, name, stamp),
        (true, None) => Ok(fs::unlinkat(&staging, name, AtFlags::empty())?),
        (false, _) => Err(io::Error::other("it was replaced by another file in the same moment")),
    };
    if done.is_err() {
        files::rename_new(&staging, name, folder, name)?;
    }
    done
}

fn staging(folder: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let name = OsStr::new(STAGING);
    match fs::mkdirat(folder, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let staging = files::open_folder_in(folder, name)?;
    match is_ours(&staging, folder)? {
        true => Ok(staging),
        false => Err(io::Error::other(format!(
            "there is a folder {STAGING} that others made or can write; files are moved through it, so take it away"
        ))),
    }
}

/// Did we make it, and can nobody write there who cannot write in the folder around it? (Some file systems give
/// all folders one mode.)
fn is_ours(staging: &OwnedFd, folder: BorrowedFd<'_>) -> io::Result<bool> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let stat = fs::fstat(staging)?;
    if stat.st_uid != geteuid().as_raw() {
        return Ok(false);
    }
    let mode = if stat.st_mode & WRITABLE_BY_OTHERS == 0 {
        stat.st_mode
    } else {
        let _ = fs::fchmod(staging, Mode::RWXU);
        fs::fstat(staging)?.st_mode
    };
    Ok(mode & WRITABLE_BY_OTHERS & !fs::fstat(folder)?.st_mode == 0)
}

/// Puts back what a crash left between the folder and its end: it is inspected again. Where a new file has
/// the name meanwhile, the old one waits until that is gone.
///
/// # Errors
/// When it cannot be listed.
pub(super) fn recover(folder: impl AsFd) -> io::Result<()> {
    let Ok(staging) = files::open_folder_in(&folder, STAGING.as_ref()) else { return Ok(()) };
    if !is_ours(&staging, folder.as_fd())? {
        return Ok(());
    }
    for item in Dir::read_from(&staging)? {
        let item = item?;
        let name = OsStr::from_bytes(item.file_name().to_bytes());
        if name != "." && name != ".." {
            let _ = files::rename_new(&staging, name, &folder, name);
        }
    }
    // it goes when nothing is left in it
    let _ = fs::unlinkat(&folder, STAGING, AtFlags::REMOVEDIR);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archived_files_never_overwrite_each_other() {
        let place = tempfile::tempdir().unwrap();
        let inbox = place.path().join("inbox");
        std::fs::create_dir(&inbox).unwrap();
        let rules = Upload { after: After::Archive, archive: place.path().join("archive") };
        let brand: BrandKey = "OWNBRAND/1".parse().unwrap();
        for content in ["one", "two"] {
            std::fs::write(inbox.join("a.jpg"), content).unwrap();
            let folder = files::open_named_folder(&inbox).unwrap();
            let stamp = files::look(&folder, OsStr::new("a.jpg")).unwrap().stamp;
            tidy(&rules, brand, &folder, OsStr::new("a.jpg"), stamp).unwrap();
        }
        let read =
            |name: &str| std::fs::read_to_string(place.path().join("archive/OWNBRAND/1").join(name)).unwrap();
        assert_eq!((read("a.jpg"), read("a (2).jpg")), ("one".into(), "two".into()));
        recover(files::open_named_folder(&inbox).unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(&inbox).unwrap().count(), 0);
    }

    #[test]
    fn names_as_long_as_can_be_are_archived_twice_on_this_file_system_and_on_another() {
        let device = |path: &std::path::Path| files::identity(path).map(|(device, _)| device).ok();
        let here = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir_in("/dev/shm").ok();
        let other = other.filter(|other| device(other.path()) != device(here.path()));
        let name = format!("{}.jpg", "图".repeat(83));
        for archive in [Some(&here), other.as_ref()].into_iter().flatten() {
            let archive = archive.path().join("archive");
            let rules = Upload { after: After::Archive, archive: archive.clone() };
            let inbox = here.path().join("inbox");
            std::fs::create_dir_all(&inbox).unwrap();
            for content in ["one", "two"] {
                std::fs::write(inbox.join(&name), content).unwrap();
                let folder = files::open_named_folder(&inbox).unwrap();
                let stamp = files::look(&folder, OsStr::new(&name)).unwrap().stamp;
                tidy(&rules, "OWNBRAND/1".parse().unwrap(), &folder, OsStr::new(&name), stamp).unwrap();
                assert!(!inbox.join(&name).exists());
            }
            let archived = std::fs::read_dir(archive.join("OWNBRAND/1")).unwrap();
            let mut archived: Vec<_> =
                archived.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
            archived.sort();
            assert_eq!(archived, ["one", "two"], "{}", archive.display());
        }
    }

    #[test]
    fn what_a_crash_left_in_between_comes_back() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join(STAGING)).unwrap();
        std::fs::write(place.path().join(STAGING).join("a.jpg"), "left").unwrap();
        recover(files::open_named_folder(place.path()).unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(place.path().join("a.jpg")).unwrap(), "left");
        assert!(!place.path().join(STAGING).exists());
    }

    #[test]
    fn a_file_that_was_replaced_is_put_back() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a.jpg"), "new").unwrap();
        let rules = Upload { after: After::Delete, archive: place.path().join("archive") };
        let folder = files::open_named_folder(place.path()).unwrap();
        let other = Stamp { size: 1, mtime_ns: 1, inode: 1 };
        tidy(&rules, "OWNBRAND/1".parse().unwrap(), &folder, OsStr::new("a.jpg"), other).unwrap_err();
        assert_eq!(std::fs::read_to_string(place.path().join("a.jpg")).unwrap(), "new");
    }
}
