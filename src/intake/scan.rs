//! The listing of a brand's folder: which names count, and what kind of file each is.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{self, Dir, FileType, RawDir, SeekFrom};

use super::tidy;
use crate::domain::glob::Glob;
use crate::domain::order;
use crate::files::{self, FileMeta, Kind, Place};

/// A name in a brand's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) meta: FileMeta,
}

/// The folder and what is in it, in natural order of names.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) folder: Arc<OwnedFd>,
    /// Which file system it is on.
    pub(super) device: u64,
    /// Is a file system mounted there?
    pub(super) is_mount_point: bool,
    pub(super) entries: Vec<Entry>,
    /// Names of which nothing more is known now, and why.
    pub(super) unknown: Vec<(OsString, io::Error)>,
}

impl Listing {
    /// The names in it.
    pub(super) fn names(&self) -> HashSet<&OsStr> {
        let unknown = self.unknown.iter().map(|(name, _)| name.as_os_str());
        self.entries.iter().map(|entry| entry.name.as_os_str()).chain(unknown).collect()
    }
}

/// Lists a folder. Names that vanish meanwhile are left out, as are folders and names that never count.
///
/// # Errors
/// When the folder cannot be read: then nothing is known of its files.
pub(super) fn list(folder: OwnedFd, ignored: &[Glob]) -> io::Result<Listing> {
    let mut names = read_names(&folder, ignored)?;
    if names.has_staging {
        tidy::recover(&folder)?;
        fs::seek(&folder, SeekFrom::Start(0))?;
        names = read_names(&folder, ignored)?;
    }
    let (mut entries, mut unknown) = (Vec::new(), Vec::new());
    let Place { device, is_mount_point, is_local, .. } = files::place_of(&folder)?;
    for name in names.names {
        match files::look_as(&folder, &name, is_local) {
            Ok(meta) if meta.kind == Kind::Folder => {}
            Ok(meta) => entries.push(Entry { name, meta }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // one name that a file system cannot describe must not hide the others
            Err(error) => unknown.push((name, error)),
        }
    }
    entries.sort_by(|a, b| order::natural(a.name.as_bytes(), b.name.as_bytes()));
    Ok(Listing { folder: Arc::new(folder), device, is_mount_point, entries, unknown })
}

/// So many names in a brand's folder are looked at: one that may be written by others must not take the daemon's memory.
/// A folder with more counts as one that cannot be read, so nothing of it is taken for deleted.
const MAX_NAMES: usize = 20_000;

/// Names are read in pieces of so many bytes.
const BUFFER: usize = 8 << 10;

/// So many folders in a brand's folder are named.
const MAX_SUBFOLDERS: usize = 3;

/// The names in a folder that may count. Of those that are surely folders, none does.
///
/// # Errors
/// When the folder cannot be read, or holds too many.
pub(super) fn names(folder: &OwnedFd, ignored: &[Glob]) -> io::Result<Vec<OsString>> {
    read_names(folder, ignored).map(|read| read.names)
}

struct Names {
    names: Vec<OsString>,
    /// A crash left files between the folder and their end.
    has_staging: bool,
}

fn read_names(folder: &OwnedFd, ignored: &[Glob]) -> io::Result<Names> {
    let (mut names, mut has_staging) = (Vec::new(), false);
    // the descriptor itself is read: another `open` is an event of the folder's watch
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut items = RawDir::new(folder, &mut buffer);
    while let Some(item) = items.next() {
        let item = item?;
        let name = OsStr::from_bytes(item.file_name().to_bytes());
        has_staging |= name == tidy::STAGING;
        if item.file_type() != FileType::Directory && !is_ignored(name, ignored) {
            if names.len() == MAX_NAMES {
                return Err(io::Error::other(format!(
                    "it holds more than {MAX_NAMES} files; move some elsewhere"
                )));
            }
            names.push(name.to_owned());
        }
    }
    Ok(Names { names, has_staging })
}

/// The folders in a folder that was opened for this, a few of them: their files are never looked at.
///
/// # Errors
/// When the folder cannot be read.
pub(super) fn subfolders(folder: &OwnedFd, ignored: &[Glob]) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for item in Dir::new(folder.try_clone()?)?.take(MAX_NAMES) {
        let item = item?;
        let name = OsStr::from_bytes(item.file_name().to_bytes());
        if item.file_type() == FileType::Directory
            && !is_ignored(name, ignored)
            && names.len() < MAX_SUBFOLDERS
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Unfinished copies and downloads, editors' leavings, what operating systems and NAS boxes strew about, and what
/// the operator names.
pub(crate) fn is_ignored(name: &OsStr, ignored: &[Glob]) -> bool {
    const SUFFIXES: [&[u8]; 10] = [
        b".part",
        b".partial",
        b".filepart",
        b".tmp",
        b".swp",
        b".crdownload",
        b".opdownload",
        b".downloading",
        b".xltd",
        b".aria2",
    ];
    const LITTER: [&[u8]; 9] = [
        b"thumbs.db",
        b"ehthumbs.db",
        b"desktop.ini",
        b"icon\r",
        b"@eadir",
        b"#recycle",
        b"#snapshot",
        b"$recycle.bin",
        b"lost+found",
    ];
    let text = name.to_string_lossy();
    let name = name.as_bytes().to_ascii_lowercase();
    let suffix = name.iter().rposition(|byte| *byte == b'.').map_or(&[][..], |dot| &name[dot + 1..]);
    name.starts_with(b".")
        || name.starts_with(b"~")
        || name.ends_with(b"~")
        || suffix.starts_with(b"part-")
        || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        || LITTER.contains(&name.as_slice())
        || ignored.iter().any(|glob| glob.matches(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_and_hidden_names_do_not_count() {
        let ignored = [
            ".a.jpg",
            "a.part",
            "a.jpg.partial",
            "a.TMP",
            "a.crdownload",
            ".a.swp",
            "~a.jpg",
            "a.jpg~",
            "Thumbs.db",
            "a.jpg.filepart",
            ".~lock.a.odt#",
            "~$report.docx",
            "a.jpg.baiduyun.p.downloading",
            "a.jpg.xltd",
            "a.jpg.aria2",
            "a.jpg.opdownload",
            "a.jpg.part-Frag3",
            "ehthumbs.db",
            "desktop.ini",
            "Icon\r",
            "@eaDir",
            "#recycle",
            "a.BAK",
            "副本 a.jpg",
        ];
        let own = ["*.bak", "副本*"].map(|pattern| Glob::parse(pattern).unwrap());
        for name in ignored {
            assert!(is_ignored(OsStr::new(name), &own), "{name}");
        }
        for name in [
            "a.jpg",
            "part",
            "a.part.jpg",
            "图 片.png",
            "a~b.gif",
            "tmp",
            "a.part-2.jpg",
            "part-2",
            "Icon.png",
        ] {
            assert!(!is_ignored(OsStr::new(name), &own), "{name}");
        }
    }

    #[test]
    fn a_listing_is_in_natural_order_without_folders() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["10.jpg", "2.jpg", "x.part"] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        std::fs::create_dir(folder.path().join("deeper.jpg")).unwrap();
        std::os::unix::fs::symlink("2.jpg", folder.path().join("3.jpg")).unwrap();
        let listing = list(files::open_named_folder(folder.path()).unwrap(), &[]).unwrap();
        let names: Vec<_> = listing.entries.iter().map(|entry| entry.name.to_str().unwrap()).collect();
        assert_eq!(names, ["2.jpg", "3.jpg", "10.jpg"]);
        assert_eq!(
            subfolders(&files::open_named_folder(folder.path()).unwrap(), &[]).unwrap(),
            ["deeper.jpg"]
        );
        assert_eq!(listing.entries[1].meta.kind, Kind::Link);
    }

    #[test]
    fn a_folder_with_too_many_names_is_one_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |number: usize| folder.path().join(format!("{number}.jpg"));
        (0..MAX_NAMES).for_each(|number| std::fs::write(path(number), "").unwrap());
        let names = || super::names(&files::open_brand_folder(None, folder.path()).unwrap(), &[]);
        assert_eq!(names().unwrap().len(), MAX_NAMES);
        std::fs::write(path(MAX_NAMES), "").unwrap();
        assert!(names().unwrap_err().to_string().contains("more than 20000 files"));
    }
}
