//! Which folders are brands': the root's `TYPE/ID` folders and those of `[[brand]]`.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::scan;
use crate::config::Settings;
use crate::domain::brand::{BrandError, BrandKey, BrandType};
use crate::files::{self, Identity};

/// A brand's folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrandFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Whose pictures lie there.
    pub brand: BrandKey,
    /// Which folder it is; `None` when it is not there.
    pub identity: Option<Identity>,
}

/// What one discovery in the root found.
#[derive(Debug, Default)]
pub struct Discovery {
    /// The brands' folders.
    pub folders: Vec<BrandFolder>,
    /// The root and the type folders, in which new folders may appear.
    pub parents: Vec<(PathBuf, Option<Identity>)>,
    /// What is there and is no brand's folder, and why.
    pub unrecognized: Vec<(PathBuf, String)>,
    /// Type folders that cannot be read: nothing is known of the folders in them.
    pub unread: Vec<(PathBuf, String)>,
    /// Which folder the root is.
    pub root: Option<Identity>,
}

impl Discovery {
    /// Was anything found in this folder?
    pub fn has_anything_in(&self, folder: &Path) -> bool {
        let folders = self.folders.iter().map(|folder| &folder.path);
        let rest = self.parents.iter().map(|(path, _)| path);
        let others = self.unrecognized.iter().chain(&self.unread).map(|(path, _)| path);
        folders.chain(rest).chain(others).any(|path| path.parent() == Some(folder))
    }
}

/// Lists the root. `[[brand]]` folders are always in the result, whether they are there or not.
///
/// # Errors
/// When the root cannot be read: then nothing is known of the folders in it.
pub fn discovery(settings: &Settings) -> io::Result<Discovery> {
    let mut discovery = discover_root(settings)?;
    discovery.folders.extend(configured_brands(settings));
    Ok(discovery)
}

/// As `discovery`, without the folders of `[[brand]]`.
pub(super) fn discover_root(settings: &Settings) -> io::Result<Discovery> {
    let root = &settings.watch.root;
    let mut discovery = Discovery { root: Some(files::named_identity(root)?), ..Discovery::default() };
    discovery.parents.push((root.clone(), discovery.root));
    for (name, path) in subfolders(settings, root, &mut discovery.unrecognized)? {
        match name.parse::<BrandType>() {
            Ok(kind) => {
                match records(settings, kind, &path, &mut discovery) {
                    Ok(()) => {}
                    // it vanished in this moment
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => {
                        discovery.unread.push((path.clone(), format!("it cannot be read: {error}")));
                    }
                }
                let identity = files::identity(&path).ok();
                discovery.parents.push((path, identity));
            }
            Err(error) => discovery.unrecognized.push((path, error.to_string())),
        }
    }
    Ok(discovery)
}

fn brand(kind: BrandType, name: &str) -> Result<BrandKey, String> {
    format!("{kind}/{name}").parse().map_err(|error: BrandError| error.to_string())
}

/// The folders of `[[brand]]`.
pub fn configured_brands(settings: &Settings) -> impl Iterator<Item = BrandFolder> + '_ {
    settings.brands.iter().map(|folder| {
        let identity = files::named_identity(&folder.path).ok();
        BrandFolder { path: folder.path.clone(), brand: folder.brand, identity }
    })
}

fn brand_folder(brand: BrandKey, path: PathBuf) -> BrandFolder {
    let identity = files::identity(&path).ok();
    BrandFolder { path, brand, identity }
}

fn records(settings: &Settings, kind: BrandType, path: &Path, discovery: &mut Discovery) -> io::Result<()> {
    for (name, path) in subfolders(settings, path, &mut discovery.unrecognized)? {
        match brand(kind, &name) {
            Ok(brand) => discovery.folders.push(brand_folder(brand, path)),
            Err(why) => discovery.unrecognized.push((path, why)),
        }
    }
    Ok(())
}

/// The folders in a folder, by name. Everything else in it is unrecognized.
fn subfolders(
    settings: &Settings,
    path: &Path,
    unrecognized: &mut Vec<(PathBuf, String)>,
) -> io::Result<Vec<(String, PathBuf)>> {
    let mut folders = Vec::new();
    for item in std::fs::read_dir(path)? {
        let item = item?;
        let name = item.file_name();
        if scan::is_ignored(&name, &settings.watch.ignore) {
            continue;
        }
        let path = path.join(&name);
        // most file systems report it with the name, without another call
        match item.file_type() {
            Ok(kind) if kind.is_dir() => folders.push((text(&name), path)),
            Ok(kind) if kind.is_symlink() => {
                unrecognized.push((path, "is a symbolic link, which is not followed".into()));
            }
            Ok(_) => {
                unrecognized
                    .push((path, "is no folder; pictures go into TYPE/ID, as in OWNBRAND/1001".into()));
            }
            Err(_) => {}
        }
    }
    folders.sort();
    unrecognized.sort();
    Ok(folders)
}

fn text(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_folders_are_brands() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = folder.path().join("inbox");
        for path in
            ["OWNBRAND/1001", "OTHERBRAND/2", "OWNBRAND/01", "ownbrand/1", "OWNBRAND/1001/deeper", ".hidden"]
        {
            std::fs::create_dir_all(inbox.join(path)).unwrap();
        }
        std::fs::write(inbox.join("note.txt"), "x").unwrap();
        std::os::unix::fs::symlink("1001", inbox.join("OWNBRAND/7")).unwrap();
        let text = "[gateway]\napp_id = \"a\"\napp_key = \"k\"\n";
        let settings = Settings::parse(&folder.path().join("c.toml"), text, std::iter::empty()).unwrap();
        let discovery = discovery(&settings).unwrap();
        let brands: Vec<_> = discovery.folders.iter().map(|folder| folder.brand.to_string()).collect();
        assert_eq!(brands, ["OTHERBRAND/2", "OWNBRAND/1001"]);
        let unrecognized: Vec<_> =
            discovery.unrecognized.iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(unrecognized.len(), 4, "{unrecognized:?}");
        assert_eq!(discovery.parents.len(), 3);
    }
}
