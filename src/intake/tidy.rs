//! After the upload: the local file stays, moves to the archive, or is deleted.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, RenameFlags};
use rustix::io::Errno;

use crate::config::{After, Upload};
use crate::domain::brand::Brand;
use crate::domain::upload::Stamp;
use crate::files;

/// Tidies one uploaded file away. It is taken out of the folder under a hidden name first and looked at
/// again there: if it is not the file that was uploaded, it is put back.
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
    let folder = folder.as_fd();
    let hidden = hidden(name);
    fs::renameat_with(folder, name, folder, &hidden, RenameFlags::NOREPLACE)?;
    let uploaded = files::look(folder, &hidden).is_ok_and(|look| look.stamp == stamp);
    let done = match (uploaded, rules.after) {
        (true, After::Delete) => Ok(fs::unlinkat(folder, &hidden, AtFlags::empty())?),
        (true, _) => archive(&rules.archive.join(brand.to_string()), folder, &hidden, name),
        (false, _) => Err(io::Error::other("it was replaced by another file in the same moment")),
    };
    if done.is_err() {
        fs::renameat_with(folder, &hidden, folder, name, RenameFlags::NOREPLACE)?;
    }
    done
}

fn hidden(name: &OsStr) -> OsString {
    // names may be as long as the file system allows, so the original cannot be part of this one
    let number = name
        .as_encoded_bytes()
        .iter()
        .fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    format!(".brandpost-{number:016x}").into()
}

/// Moves a file under the first name that is free, across file systems if need be.
fn archive(to: &Path, folder: impl AsFd, hidden: &OsStr, name: &OsStr) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for target in candidates(to, name) {
        match fs::renameat_with(&folder, hidden, CWD, &target, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(Errno::XDEV) => return copy(&folder, hidden, &target),
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

fn copy(folder: impl AsFd, hidden: &OsStr, target: &Path) -> io::Result<()> {
    let mut from = files::open_regular(&folder, hidden)?;
    let mut to = File::create_new(target)?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()?;
    Ok(fs::unlinkat(folder, hidden, AtFlags::empty())?)
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
            let folder = files::open_folder(&inbox).unwrap();
            let stamp = files::look(&folder, OsStr::new("a.jpg")).unwrap().stamp;
            tidy(&rules, brand, &folder, OsStr::new("a.jpg"), stamp).unwrap();
        }
        let read =
            |name: &str| std::fs::read_to_string(place.path().join("archive/OWNBRAND/1").join(name)).unwrap();
        assert_eq!((read("a.jpg"), read("a (2).jpg")), ("one".into(), "two".into()));
        assert_eq!(std::fs::read_dir(&inbox).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_was_replaced_is_put_back() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a.jpg"), "new").unwrap();
        let rules = Upload { after: After::Delete, archive: place.path().join("archive") };
        let folder = files::open_folder(place.path()).unwrap();
        let other = Stamp { size: 1, mtime_ns: 1, inode: 1 };
        tidy(&rules, "OWNBRAND/1".parse().unwrap(), &folder, OsStr::new("a.jpg"), other).unwrap_err();
        assert_eq!(std::fs::read_to_string(place.path().join("a.jpg")).unwrap(), "new");
    }
}
