//! After the upload: the local file stays, moves to the archive, or is deleted.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::config::{After, Upload};
use crate::domain::brand::Brand;
use crate::domain::upload::Stamp;
use crate::files;

/// Where a file is between the folder and its end. Hidden, so that it is never taken for a new one.
const LIMBO: &str = ".brandpost";

/// Tidies one uploaded file away. It is taken out of the folder first and looked at again there: if it is not
/// the file that was uploaded, it is put back.
///
/// # Errors
/// When it cannot be moved or deleted; then it stays where it was.
pub(super) fn tidy(
    rules: &Upload,
    brand: Brand,
    folder: impl AsFd,
    name: &OsStr,
    stamp: Stamp,
) -> io::Result<()> {
    if rules.after == After::Keep {
        return Ok(());
    }
    let target = rules.archive.join(brand.to_string());
    if rules.after == After::Archive {
        // before the file is touched: an archive that cannot be written must not stir the folder
        std::fs::create_dir_all(&target)?;
    }
    let folder = folder.as_fd();
    let limbo = limbo(folder)?;
    files::rename_new(folder, name, &limbo, name)?;
    let uploaded = files::look(&limbo, name).is_ok_and(|look| look.stamp == stamp);
    let done = match (uploaded, rules.after) {
        (true, After::Delete) => Ok(fs::unlinkat(&limbo, name, AtFlags::empty())?),
        (true, _) => archive(&target, &limbo, name),
        (false, _) => Err(io::Error::other("it was replaced by another file in the same moment")),
    };
    if done.is_err() {
        files::rename_new(&limbo, name, folder, name)?;
    }
    done
}

fn limbo(folder: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    match fs::mkdirat(folder, LIMBO, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(fs::openat(folder, LIMBO, flags, Mode::empty())?)
}

/// Puts back what a crash left between the folder and its end: it is judged anew. Where a new file has the
/// name meanwhile, the old one waits for it to go.
///
/// # Errors
/// When it cannot be looked at.
pub(super) fn recover(folder: impl AsFd) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(limbo) = fs::openat(&folder, LIMBO, flags, Mode::empty()) else { return Ok(()) };
    for item in Dir::read_from(&limbo)? {
        let item = item?;
        let name = OsStr::from_bytes(item.file_name().to_bytes());
        if name != "." && name != ".." {
            let _ = files::rename_new(&limbo, name, &folder, name);
        }
    }
    // it goes when nothing is left in it
    let _ = fs::unlinkat(&folder, LIMBO, AtFlags::REMOVEDIR);
    Ok(())
}

/// Moves a file under the first name that is free, across file systems if need be.
fn archive(to: &Path, limbo: impl AsFd, name: &OsStr) -> io::Result<()> {
    for target in candidates(to, name) {
        match files::rename_new(&limbo, name, CWD, &target) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(Errno::XDEV) => return copy(&limbo, name, &target),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other("the archive has a thousand files of this name"))
}

fn candidates(to: &Path, name: &OsStr) -> impl Iterator<Item = PathBuf> {
    let path = Path::new(name);
    let stem = path.file_stem().unwrap_or(name).to_owned();
    let suffix = path.extension().map(OsStr::to_owned);
    let (to, name) = (to.to_owned(), name.to_owned());
    (1..1000).map(move |number| {
        if number == 1 {
            return to.join(&name);
        }
        let mut other = stem.clone();
        other.push(format!(" ({number})"));
        if let Some(suffix) = &suffix {
            other.push(".");
            other.push(suffix);
        }
        to.join(other)
    })
}

/// Across file systems: nothing half-copied is left behind, and the original goes last.
fn copy(limbo: impl AsFd, name: &OsStr, target: &Path) -> io::Result<()> {
    let mut from = files::open_regular(&limbo, name)?;
    let mut to = File::create_new(target)?;
    let copied = io::copy(&mut from, &mut to).and_then(|_| to.sync_all());
    if let Err(error) = copied {
        let _ = std::fs::remove_file(target);
        return Err(error);
    }
    Ok(fs::unlinkat(limbo, name, AtFlags::empty())?)
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
        let brand: Brand = "OWNBRAND/1".parse().unwrap();
        for content in ["one", "two"] {
            std::fs::write(inbox.join("a.jpg"), content).unwrap();
            let folder = files::open_any_folder(&inbox).unwrap();
            let stamp = files::look(&folder, OsStr::new("a.jpg")).unwrap().stamp;
            tidy(&rules, brand, &folder, OsStr::new("a.jpg"), stamp).unwrap();
        }
        let read =
            |name: &str| std::fs::read_to_string(place.path().join("archive/OWNBRAND/1").join(name)).unwrap();
        assert_eq!((read("a.jpg"), read("a (2).jpg")), ("one".into(), "two".into()));
        recover(files::open_any_folder(&inbox).unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(&inbox).unwrap().count(), 0);
    }

    #[test]
    fn what_a_crash_left_in_between_comes_back() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join(LIMBO)).unwrap();
        std::fs::write(place.path().join(LIMBO).join("a.jpg"), "left").unwrap();
        recover(files::open_any_folder(place.path()).unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(place.path().join("a.jpg")).unwrap(), "left");
        assert!(!place.path().join(LIMBO).exists());
    }

    #[test]
    fn a_file_that_was_replaced_is_put_back() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a.jpg"), "new").unwrap();
        let rules = Upload { after: After::Delete, archive: place.path().join("archive") };
        let folder = files::open_any_folder(place.path()).unwrap();
        let other = Stamp { size: 1, mtime_ns: 1, inode: 1 };
        tidy(&rules, "OWNBRAND/1".parse().unwrap(), &folder, OsStr::new("a.jpg"), other).unwrap_err();
        assert_eq!(std::fs::read_to_string(place.path().join("a.jpg")).unwrap(), "new");
    }
}
