//! Which folders are brands': the root's `TYPE/ID` folders and those of `[[brand]]`.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::scan;
use crate::config::Settings;
use crate::domain::brand::{Brand, BrandError, BrandType};
use crate::files::{self, Identity};

/// A brand's folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// Whose pictures lie there.
    pub brand: Brand,
    /// Which folder it is; `None` when it is not there.
    pub identity: Option<Identity>,
}

/// What one look at the root found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The brands' folders.
    pub folders: Vec<Place>,
    /// The root and the type folders, in which new folders may appear.
    pub parents: Vec<(PathBuf, Option<Identity>)>,
    /// What stands there and is no brand's folder, and why.
    pub strays: Vec<(PathBuf, String)>,
    /// Type folders that cannot be read: nothing is known of the folders in them.
    pub unread: Vec<(PathBuf, String)>,
    /// Which folder the root is.
    pub root: Option<Identity>,
}

impl Survey {
    /// Was anything found in this folder?
    pub fn has_anything_in(&self, folder: &Path) -> bool {
        let folders = self.folders.iter().map(|place| &place.path);
        let rest = self.parents.iter().map(|(path, _)| path);
        let others = self.strays.iter().chain(&self.unread).map(|(path, _)| path);
        folders.chain(rest).chain(others).any(|path| path.parent() == Some(folder))
    }
}

/// Looks at the root. `[[brand]]` folders are always in the result, whether they are there or not.
///
/// # Errors
/// When the root cannot be read: then nothing is known of the folders in it.
pub fn survey(settings: &Settings) -> io::Result<Survey> {
    let mut survey = survey_root(settings)?;
    survey.folders.extend(mapped(settings));
    Ok(survey)
}

/// As `survey`, without the folders of `[[brand]]`.
pub(super) fn survey_root(settings: &Settings) -> io::Result<Survey> {
    let root = &settings.watch.root;
    let mut survey = Survey { root: Some(files::named_identity(root)?), ..Survey::default() };
    survey.parents.push((root.clone(), survey.root));
    for (name, path) in subfolders(settings, root, &mut survey.strays)? {
        match name.parse::<BrandType>() {
            Ok(kind) => {
                match records(settings, kind, &path, &mut survey) {
                    Ok(()) => {}
                    // it vanished in this moment
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => survey.unread.push((path.clone(), format!("it cannot be read: {error}"))),
                }
                let identity = files::identity(&path).ok();
                survey.parents.push((path, identity));
            }
            Err(error) => survey.strays.push((path, error.to_string())),
        }
    }
    Ok(survey)
}

fn brand(kind: BrandType, name: &str) -> Result<Brand, String> {
    format!("{kind}/{name}").parse().map_err(|error: BrandError| error.to_string())
}

/// The folders of `[[brand]]`.
pub fn mapped(settings: &Settings) -> impl Iterator<Item = Place> + '_ {
    settings.brands.iter().map(|folder| {
        let identity = files::named_identity(&folder.path).ok();
        Place { path: folder.path.clone(), brand: folder.brand, identity }
    })
}

fn place(brand: Brand, path: PathBuf) -> Place {
    let identity = files::identity(&path).ok();
    Place { path, brand, identity }
}

fn records(settings: &Settings, kind: BrandType, path: &Path, survey: &mut Survey) -> io::Result<()> {
    for (name, path) in subfolders(settings, path, &mut survey.strays)? {
        match brand(kind, &name) {
            Ok(brand) => survey.folders.push(place(brand, path)),
            Err(why) => survey.strays.push((path, why)),
        }
    }
    Ok(())
}

/// The folders in a folder, by name. Everything else in it is a stray.
fn subfolders(
    settings: &Settings,
    path: &Path,
    strays: &mut Vec<(PathBuf, String)>,
) -> io::Result<Vec<(String, PathBuf)>> {
    let mut folders = Vec::new();
    for item in std::fs::read_dir(path)? {
        let item = item?;
        let name = item.file_name();
        if scan::is_ignored(&name, &settings.watch.ignore) {
            continue;
        }
        let path = path.join(&name);
        // most file systems tell it with the name, without another look
        match item.file_type() {
            Ok(kind) if kind.is_dir() => folders.push((text(&name), path)),
            Ok(kind) if kind.is_symlink() => {
                strays.push((path, "is a symbolic link, which is not followed".into()));
            }
            Ok(_) => {
                strays.push((path, "is no folder; pictures go into TYPE/ID, as in OWNBRAND/1001".into()));
            }
            Err(_) => {}
        }
    }
    folders.sort();
    strays.sort();
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
        let survey = survey(&settings).unwrap();
        let brands: Vec<_> = survey.folders.iter().map(|place| place.brand.to_string()).collect();
        assert_eq!(brands, ["OTHERBRAND/2", "OWNBRAND/1001"]);
        let strays: Vec<_> =
            survey.strays.iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(strays.len(), 4, "{strays:?}");
        assert_eq!(survey.parents.len(), 3);
    }
}
