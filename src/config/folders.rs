//! Folders that are named twice, the second time by a link or a way around: each file has one brand.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::settings::BrandFolder;
use crate::domain::brand::BrandType;
use crate::files;

/// So long file systems are asked which folders links lead to; a dead file server is not waited for.
const ANSWER: Duration = Duration::from_secs(2);

/// What is wrong with `[[brand]]` folders, by their place in the list.
pub(super) fn clashes(root: &Path, folders: &[BrandFolder]) -> Vec<(usize, String)> {
    let (root, real) = real_paths(root, folders);
    let clash = |(at, path): (usize, &PathBuf)| {
        let before = real[..at].iter().position(|other| other == path);
        let twice =
            before.map(|other| format!("{} is the folder of {} too", path.display(), folders[other].brand));
        Some((at, in_root(&root, path).or(twice)?))
    };
    real.iter().enumerate().filter_map(clash).collect()
}

fn in_root(root: &Path, path: &Path) -> Option<String> {
    let below: Vec<_> = path.strip_prefix(root).ok()?.iter().map(|name| name.to_string_lossy()).collect();
    let is_type = |name: &str| name.parse::<BrandType>().is_ok();
    let what = match below.as_slice() {
        [] => "is watch.root itself".to_owned(),
        [kind] if is_type(kind) => format!("is the folder of all {kind} brands in watch.root"),
        [kind, record] if is_type(kind) => {
            format!("lies in watch.root and is watched as {kind}/{record} already")
        }
        _ => return None,
    };
    Some(format!("{} {what}; name a folder outside of it", path.display()))
}

/// Where the root and the folders really are.
fn real_paths(root: &Path, folders: &[BrandFolder]) -> (PathBuf, Vec<PathBuf>) {
    let named: Vec<_> =
        [root.to_owned()].into_iter().chain(folders.iter().map(|folder| folder.path.clone())).collect();
    let (answer, answered) = mpsc::channel();
    let asked = named.clone();
    std::thread::spawn(move || answer.send(asked.iter().map(|path| real(path)).collect::<Vec<_>>()));
    let mut paths = answered.recv_timeout(ANSWER).unwrap_or(named);
    let rest = paths.split_off(1);
    (paths.remove(0), rest)
}

/// Without links and `..`, also where the last names are not there yet. A link that is not followed leads nowhere:
/// the owner of a folder must not be able to make a mistake of the configuration.
fn real(path: &Path) -> PathBuf {
    if files::named_identity(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        return path.to_owned();
    }
    path.canonicalize().unwrap_or_else(|_| match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        // it ends in `..`
        (Some(parent), None) => real(parent).parent().unwrap_or(Path::new("/")).to_owned(),
        (None, _) => path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_has_one_brand_however_it_is_named() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        std::fs::create_dir_all(path("inbox/OWNBRAND/1001")).unwrap();
        std::fs::create_dir_all(path("share/acme")).unwrap();
        std::os::unix::fs::symlink(path("inbox/OWNBRAND/1001"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("share"), path("mount")).unwrap();
        let folder = |id: u32, name: &str| BrandFolder {
            brand: format!("OWNBRAND/{id}").parse().unwrap(),
            label: None,
            path: path(name),
            max: 10,
        };
        let named = [
            ("share/acme", None),
            ("inbox", Some("is watch.root itself")),
            ("share/../inbox", Some("is watch.root itself")),
            ("inbox/OWNBRAND", Some("is the folder of all OWNBRAND brands")),
            ("inbox/OWNBRAND/77", Some("is watched as OWNBRAND/77 already")),
            ("link", Some("is watched as OWNBRAND/1001 already")),
            ("mount/acme", Some("is the folder of OWNBRAND/1 too")),
            ("none/yet", None),
            ("none/../none/yet", Some("is the folder of OWNBRAND/8 too")),
            ("inbox/other", None),
        ];
        let folders: Vec<_> = (1..).zip(named).map(|(id, (name, _))| folder(id, name)).collect();
        let clashes = clashes(&path("inbox"), &folders);
        for (at, (name, why)) in named.iter().enumerate() {
            let found = clashes.iter().find(|(other, _)| *other == at).map(|(_, text)| text.as_str());
            assert_eq!(found.is_some(), why.is_some(), "{name}: {found:?}");
            assert!(found.unwrap_or_default().contains(why.unwrap_or_default()), "{name}: {found:?}");
        }
    }
}
