//! Which folders are brands': the root's `TYPE/ID` folders and those of `[[brand]]`.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, statat};

use super::scan;
use super::watch::Unwatched;
use crate::config::Settings;
use crate::domain::brand::{BrandKey, BrandType, read_folder_name};
use crate::domain::text::readable;
use crate::files::{self, Identity};

/// A brand's folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BrandFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Whose pictures lie there.
    pub brand: BrandKey,
    /// What people call it.
    pub label: Option<String>,
    /// Which folder it is; `None` when it is not there.
    pub identity: Option<Identity>,
}

/// The root or a type folder, in which new folders may appear.
#[derive(Debug)]
pub(crate) struct Parent {
    pub path: PathBuf,
    /// Which folder it is.
    pub identity: Option<Identity>,
    /// Is a file system mounted there? `None`: it could not be read.
    pub is_mount_point: Option<bool>,
    /// Whether it is watched now; `None`: nobody tried.
    pub(super) watch: Option<Result<(), Unwatched>>,
}

/// What one discovery in the root found.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    /// The brands' folders.
    pub folders: Vec<BrandFolder>,
    /// The root and the type folders.
    pub parents: Vec<Parent>,
    /// What is there and is no brand's folder, and why.
    pub unrecognized: Vec<(PathBuf, String)>,
    /// Type folders that cannot be read: nothing is known of the folders in them.
    pub unread: Vec<(PathBuf, String)>,
    /// Those of them that did not answer in time.
    pub silent: HashSet<PathBuf>,
    /// Which folder the root is.
    pub root: Option<Identity>,
}

impl Discovery {
    /// Was anything found in this folder?
    pub(crate) fn has_anything_in(&self, folder: &Path) -> bool {
        let folders = self.folders.iter().map(|folder| &folder.path);
        let rest = self.parents.iter().map(|parent| &parent.path);
        let others = self.unrecognized.iter().chain(&self.unread).map(|(path, _)| path);
        folders.chain(rest).chain(others).any(|path| path.parent() == Some(folder))
    }

    /// What is in a type folder, or why that is not known.
    pub(super) fn add(&mut self, folder: TypeFolder, listed: io::Result<TypeListing>) {
        match listed {
            Ok(listing) => {
                self.folders.extend(listing.folders);
                self.unrecognized.extend(listing.unrecognized);
                self.parents.push(listing.parent);
            }
            // it vanished in this moment
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                if error.kind() == io::ErrorKind::TimedOut {
                    self.silent.insert(folder.path.clone());
                }
                self.unread.push((folder.path.clone(), error.to_string()));
                let TypeFolder { path, identity, .. } = folder;
                self.parents.push(Parent { path, identity, is_mount_point: None, watch: None });
            }
        }
    }
}

/// A type folder, which is still to be listed.
#[derive(Debug, Clone)]
pub(super) struct TypeFolder {
    pub(super) kind: BrandType,
    pub(super) path: PathBuf,
    pub(super) identity: Option<Identity>,
}

/// What is in a type folder.
#[derive(Debug)]
pub(super) struct TypeListing {
    folders: Vec<BrandFolder>,
    unrecognized: Vec<(PathBuf, String)>,
    parent: Parent,
}

/// What is done with the root or a type folder as soon as it is open: what comes after it raises events.
pub(super) type OnOpen<'a> = &'a dyn Fn(&Path, &OwnedFd, Identity) -> Option<Result<(), Unwatched>>;

/// So many brands' folders of a type are watched at most: whoever may make folders there must not take the daemon's
/// memory. Beyond it the type's folder counts as one that cannot be read.
const MAX_BRANDS: usize = 50_000;

/// So many names that mean nothing are remembered.
const MAX_UNRECOGNIZED: usize = 1000;

/// What is under the root, for the command line. The folders of `[[brand]]` are another matter.
pub(super) fn discover_root(settings: &Settings) -> io::Result<Discovery> {
    let (mut discovery, kinds) = list_root(settings, &|_, _, _| None)?;
    for folder in kinds {
        let listed = list_type(settings, &folder, &|_, _, _| None);
        discovery.add(folder, listed);
    }
    Ok(discovery)
}

/// The root, and the type folders in it.
pub(super) fn list_root(settings: &Settings, on_open: OnOpen) -> io::Result<(Discovery, Vec<TypeFolder>)> {
    let path = &settings.watch.root;
    let root = files::open_named_folder(path)?;
    let parent = parent(path, &root, on_open)?;
    let mut discovery = Discovery { root: parent.identity, parents: vec![parent], ..Discovery::default() };
    let kind = |name: &str| name.parse::<BrandType>().map_err(|error| error.to_string());
    let kinds = subfolders(settings, &root, path, kind, &mut discovery.unrecognized)?;
    let type_folder = |(kind, name): (BrandType, OsString)| {
        let identity = files::identity_in(&root, &name).ok();
        TypeFolder { kind, path: path.join(name), identity }
    };
    Ok((discovery, kinds.into_iter().map(type_folder).collect()))
}

/// The brands' folders in a type folder.
pub(super) fn list_type(
    settings: &Settings,
    TypeFolder { kind, path, .. }: &TypeFolder,
    on_open: OnOpen,
) -> io::Result<TypeListing> {
    let folder = files::open_brand_folder(Some(&settings.watch.root), path)?;
    let parent = parent(path, &folder, on_open)?;
    let record = |name: &str| read_folder_name(name).map_err(|error| error.to_string());
    let mut unrecognized = Vec::new();
    let records = subfolders(settings, &folder, path, record, &mut unrecognized)?;
    let brand_folder = |((record, label), name): ((_, _), OsString)| {
        // what may be mounted there is not asked
        let identity = files::identity_in(&folder, &name).ok();
        BrandFolder { brand: (*kind, record).into(), label, identity, path: path.join(name) }
    };
    Ok(TypeListing { folders: records.into_iter().map(brand_folder).collect(), unrecognized, parent })
}

fn parent(path: &Path, folder: &OwnedFd, on_open: OnOpen) -> io::Result<Parent> {
    let identity = files::identity_of(folder)?;
    let is_mount_point = Some(files::is_mounted_on(folder).unwrap_or_default());
    let watch = on_open(path, folder, identity);
    Ok(Parent { path: path.to_owned(), identity: Some(identity), is_mount_point, watch })
}

/// The folders of `[[brand]]`.
pub(crate) fn configured_brands(settings: &Settings) -> impl Iterator<Item = BrandFolder> + '_ {
    settings.brands.iter().map(|folder| {
        let identity = files::named_identity(&folder.path).ok();
        BrandFolder { path: folder.path.clone(), brand: folder.brand, label: folder.label.clone(), identity }
    })
}

/// The folders in a folder, by what their names mean. Everything else in it is unrecognized. No link is followed.
///
/// # Errors
/// When it cannot be read, or has more of them than there is memory for.
fn subfolders<T>(
    settings: &Settings,
    folder: &OwnedFd,
    path: &Path,
    meaning: impl Fn(&str) -> Result<T, String>,
    unrecognized: &mut Vec<(PathBuf, String)>,
) -> io::Result<Vec<(T, OsString)>> {
    let mut folders = Vec::new();
    let mut not_one = |name: &OsStr, why: &str| {
        if unrecognized.len() < MAX_UNRECOGNIZED {
            unrecognized.push((path.join(name), why.to_owned()));
        }
    };
    // a second descriptor, not a second `open`: that is an event of the folder's watch
    for item in Dir::new(folder.try_clone()?)? {
        let item = item?;
        let name = OsStr::from_bytes(item.file_name().to_bytes());
        if scan::is_ignored(name, &settings.watch.ignore) {
            continue;
        }
        match kind_of(folder, name, item.file_type()) {
            FileType::Directory => match meaning(&readable(name)) {
                Ok(_) if folders.len() == MAX_BRANDS => {
                    let text = format!("it holds more than {MAX_BRANDS} brands' folders");
                    return Err(io::Error::other(text));
                }
                Ok(meaning) => folders.push((meaning, name.to_owned())),
                Err(why) => not_one(name, &why),
            },
            FileType::Symlink => not_one(name, "is a symbolic link, which is not followed"),
            // it vanished in this moment
            FileType::Unknown => {}
            _ => not_one(name, "is no folder; pictures go into TYPE/ID, as in OWNBRAND/1001"),
        }
    }
    folders.sort_by(|a, b| a.1.cmp(&b.1));
    unrecognized.sort();
    Ok(folders)
}

/// What has this name. Most file systems say so with the name, without another call.
fn kind_of(folder: &OwnedFd, name: &OsStr, listed: FileType) -> FileType {
    match listed {
        FileType::Unknown => statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
        listed => listed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_folders_are_brands() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = folder.path().join("inbox");
        for path in [
            "OWNBRAND/1001",
            "OTHERBRAND/2-海尔",
            "OWNBRAND/01",
            "ownbrand/1",
            "OWNBRAND/1001/deeper",
            ".hidden",
        ] {
            std::fs::create_dir_all(inbox.join(path)).unwrap();
        }
        std::fs::write(inbox.join("note.txt"), "x").unwrap();
        std::os::unix::fs::symlink("1001", inbox.join("OWNBRAND/7")).unwrap();
        let text = "[gateway]\napp_id = \"a\"\napp_key = \"k\"\n";
        let settings = Settings::parse(&folder.path().join("c.toml"), text, std::iter::empty()).unwrap();
        let discovery = discover_root(&settings).unwrap();
        let brands: Vec<_> = discovery.folders.iter().map(|folder| folder.brand.to_string()).collect();
        assert_eq!(brands, ["OTHERBRAND/2", "OWNBRAND/1001"]);
        assert_eq!(discovery.folders[0].label.as_deref(), Some("海尔"));
        let unrecognized: Vec<_> =
            discovery.unrecognized.iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(unrecognized.len(), 4, "{unrecognized:?}");
        assert_eq!(discovery.parents.len(), 3);
    }
}
