//! Names by which `notify` watches open folders.
//!
//! inotify watches the folder to which a path leads at that moment, and `notify` knows a watch by its path. Who may write
//! beside a folder could put a link to somebody else's in its place for that moment, and the events of that one would come
//! under the name of his. So a folder is opened by our own rules first, and then watched as `/proc/self/fd/N`. `N` is used
//! again as soon as the folder is closed, and no two watches may have one name: each takes another way there,
//! through `..`, which the kernel follows and paths keep.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::path::{Component, Path, PathBuf};

const PROCESS: &str = "/proc/self";

/// Folders that each process has there: the digits of a watch's number.
const DIGITS: [&str; 4] = ["fd", "fdinfo", "ns", "task"];

/// The name of the watch with this number. It leads to the folder while that is open with this descriptor.
pub(super) fn name(number: usize, folder: RawFd) -> PathBuf {
    let mut path = OsString::from(PROCESS);
    let mut rest = number;
    while rest > 0 {
        path.push("/");
        path.push(DIGITS[rest % DIGITS.len()]);
        path.push("/..");
        rest /= DIGITS.len();
    }
    path.push(format!("/fd/{folder}"));
    path.into()
}

/// The number of the watch, and which file in its folder it is. `None`: that is no such name.
pub(super) fn read(path: &Path) -> Option<(usize, Option<&OsStr>)> {
    let mut parts = path.strip_prefix(PROCESS).ok()?.components();
    let (mut number, mut place) = (0, 1);
    loop {
        let folder = parts.next()?.as_os_str();
        match parts.next()? {
            Component::ParentDir => {
                number += place * DIGITS.iter().position(|digit| folder == *digit)?;
                place *= DIGITS.len();
            }
            _ => return Some((number, parts.next().map(Component::as_os_str))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::fs;
    use std::os::fd::AsRawFd;

    #[test]
    fn each_number_has_its_own_name_which_leads_to_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.jpg"), "").unwrap();
        let open = crate::files::open_named_folder(folder.path()).unwrap();
        let mut names = HashSet::new();
        for number in (0..300).chain([4096, 99_999]) {
            let name = name(number, open.as_raw_fd());
            assert!(name.join("a.jpg").exists(), "{name:?}");
            assert_eq!(read(&name), Some((number, None)));
            assert_eq!(read(&name.join("a.jpg")), Some((number, Some(OsStr::new("a.jpg")))));
            assert!(names.insert(name), "{number}");
        }
    }

    #[test]
    fn other_paths_are_none() {
        for path in
            ["/inbox/OWNBRAND/1/a.jpg", "/proc/self", "/proc/self/fd", "/proc/self/x/../fd/3", "fd/3", ""]
        {
            assert_eq!(read(Path::new(path)), None, "{path}");
        }
    }
}
