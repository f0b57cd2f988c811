//! Folders that the operator named: `watch.root`, `[[brand]]`, `upload.archive`.
//!
//! A link on the path to one of them is followed only if it belongs to root or to the user of this process. Otherwise
//! the owner of a folder on that path could turn it into a link, and have files sent, or put, where the operator never
//! pointed.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{FOLDER, Identity, mounts};
use crate::domain::text::shown;

/// So many links are followed on one path, as by the kernel.
const MOST_LINKS: usize = 40;

/// Enough to go on from, and to ask what it is; its contents cannot be read.
const POINT: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The mode of folders for which nobody asked: the group can look in.
const MADE: Mode = Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP);

/// Opens a folder that the operator named.
///
/// # Errors
/// Those of `open`; `PermissionDenied` when a link on the path belongs to somebody else.
pub fn open_named_folder(path: &Path) -> io::Result<OwnedFd> {
    Ok(fs::openat(resolve(path)?, ".", FOLDER, Mode::empty())?)
}

/// As `open_named_folder`; the folder, and those above it, are made if they are not there.
///
/// # Errors
/// As of `open_named_folder`, and those of `mkdir`.
pub fn make_named_folder(path: &Path) -> io::Result<OwnedFd> {
    match (open_named_folder(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            make_folder_in(make_named_folder(parent)?, name, MADE)
        }
        (opened, ..) => opened,
    }
}

/// Opens a folder in another one, and makes it with this mode if it is not there. It may not be a link.
///
/// # Errors
/// Those of `mkdir` and `open`.
pub fn make_folder_in(folder: impl AsFd, name: &OsStr, mode: Mode) -> io::Result<OwnedFd> {
    match fs::mkdirat(&folder, name, mode) {
        Ok(()) | Err(Errno::EXIST) => Ok(fs::openat(&folder, name, FOLDER, Mode::empty())?),
        Err(error) => Err(error.into()),
    }
}

/// Which folder a path leads to, by the same rule.
///
/// # Errors
/// As of `open_named_folder`, but the folder need not be readable.
pub fn named_identity(path: &Path) -> io::Result<Identity> {
    let stat = fs::fstat(resolve(path)?)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// As `named_identity`, from what the kernel has in memory: no file system is asked, so it never waits. `None` says no more
/// than that this does not suffice, as where a link is on the path.
pub fn named_identity_in_memory(path: &Path) -> Option<Identity> {
    super::identity_of(in_memory(path).ok()?).ok()
}

/// The folder to which a path without links leads, if the kernel has all of it in memory. Nothing in it can be read.
pub(super) fn in_memory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED | ResolveFlags::NO_SYMLINKS)?)
}

/// The folder to which a path leads, by the rule above. No file system that somebody else's program serves is asked.
pub(super) fn resolve(path: &Path) -> io::Result<OwnedFd> {
    match in_memory(path) {
        Ok(there) => mounts::check(&there).map(|()| there),
        Err(error) if says_no_more(&error) => Walk::along(path),
        Err(error) => Err(error),
    }
}

/// As `resolve`, of a folder below an open one. Nothing between the two may be a link.
pub(super) fn resolve_below(top: &OwnedFd, below: &Path) -> io::Result<OwnedFd> {
    const POINT: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    let cached = super::BENEATH | ResolveFlags::CACHED;
    let there = match fs::openat2(top, below, POINT, Mode::empty(), cached).map_err(io::Error::from) {
        Err(error) if says_no_more(&error) => {
            let mut there = top.try_clone()?;
            for name in below {
                mounts::check(&there)?;
                there = enter(&there, name, POINT, super::BENEATH)?;
            }
            there
        }
        there => there?,
    };
    mounts::check(&there).map(|()| there)
}

/// Is there no more to an error than that the kernel has not all of it in memory, that a link is on the path, or that a kernel
/// before 5.12, or a sandbox, does not know the call?
fn says_no_more(error: &io::Error) -> bool {
    let no_more = [Errno::AGAIN, Errno::LOOP, Errno::NOSYS, Errno::PERM, Errno::INVAL];
    Errno::from_io_error(error).is_some_and(|error| no_more.contains(&error))
}

/// Goes on from a folder to a name in it. What is mounted on a name the kernel has in memory, so that is found without asking
/// what is mounted there; and whoever is asked is not left for what is mounted in that moment.
fn enter(at: impl AsFd, name: &OsStr, flags: OFlags, how: ResolveFlags) -> rustix::io::Result<OwnedFd> {
    /// What comes and goes in a loop.
    const TRIES: u32 = 8;
    let open = |more| fs::openat2(&at, name, flags, Mode::empty(), how | more);
    for _ in 0..TRIES {
        match open(ResolveFlags::CACHED) {
            Err(Errno::AGAIN) => {}
            // kernels before 5.12, and sandboxes that do not know the call
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
                return fs::openat(&at, name, flags | OFlags::NOFOLLOW, Mode::empty());
            }
            opened => return opened,
        }
        match open(ResolveFlags::NO_XDEV) {
            Err(Errno::XDEV) => {}
            opened => return opened,
        }
    }
    // something that the kernel mounts by itself (autofs), and does not have in memory
    open(ResolveFlags::empty())
}

/// Name by name along a path.
struct Walk {
    at: OwnedFd,
    /// Where that is, for people.
    path: PathBuf,
    rest: VecDeque<OsString>,
    links: usize,
}

impl Walk {
    fn along(path: &Path) -> io::Result<OwnedFd> {
        let path = std::path::absolute(path)?;
        let mut walk = Walk { at: top()?, path: "/".into(), rest: names(&path), links: 0 };
        while let Some(name) = walk.rest.pop_front() {
            walk.step(&name)?;
        }
        Ok(walk.at)
    }

    fn step(&mut self, name: &OsStr) -> io::Result<()> {
        // as a folder at first: what the kernel mounts there by itself is mounted then
        let next = match enter(&self.at, name, POINT | OFlags::DIRECTORY, ResolveFlags::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP) => enter(&self.at, name, POINT, ResolveFlags::empty()),
            next => next,
        }?;
        mounts::check(&next)?;
        let stat = fs::fstat(&next)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.path.push(name);
                self.at = next;
                Ok(())
            }
            FileType::Symlink => {
                let shown = self.path.join(name);
                let owner = stat.st_uid;
                // a second name of another's link is no link of his: somebody else gave it
                if !mounts::is_trusted(owner) || stat.st_nlink > 1 {
                    return Err(foreign(&shown, owner));
                }
                self.follow(&next)
            }
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    fn follow(&mut self, link: &OwnedFd) -> io::Result<()> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = PathBuf::from(OsString::from_vec(fs::readlinkat(link, "", Vec::new())?.into_bytes()));
        if target.is_absolute() {
            (self.at, self.path) = (top()?, "/".into());
        }
        let mut rest = names(&target);
        rest.append(&mut self.rest);
        self.rest = rest;
        Ok(())
    }
}

fn top() -> io::Result<OwnedFd> {
    Ok(fs::open("/", POINT, Mode::empty())?)
}

fn names(path: &Path) -> VecDeque<OsString> {
    let steps = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    steps.collect()
}

fn foreign(link: &Path, owner: u32) -> io::Error {
    let link = shown(link.as_os_str());
    let text = format!(
        "{link} is a symbolic link of the user with the number {owner}; on the path to a folder of the configuration only links \
         of root and of the service's user are followed: name the folder itself, or have root make the link"
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{lchown, symlink};

    #[test]
    fn links_of_ours_lead_to_folders_and_loops_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("real/deep")).unwrap();
        symlink("real", path("relative")).unwrap();
        symlink(path("relative/deep/.."), path("absolute")).unwrap();
        symlink("loop", path("loop")).unwrap();
        symlink("/etc/hostname", path("file")).unwrap();
        let real = named_identity(&path("real")).unwrap();
        for name in ["relative", "absolute", "relative/../real", "absolute/deep/.."] {
            assert_eq!(named_identity(&path(name)).unwrap(), real, "{name}");
            assert!(open_named_folder(&path(name)).is_ok(), "{name}");
        }
        for name in ["loop", "file", "missing", "real/missing/.."] {
            assert!(open_named_folder(&path(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_in_memory_is_known_without_asking_and_is_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("real");
        std::fs::create_dir(&path).unwrap();
        let known = named_identity(&path).unwrap();
        assert_eq!(named_identity_in_memory(&path), Some(known));
        std::fs::rename(&path, path.with_file_name("before")).unwrap();
        assert_eq!(named_identity_in_memory(&path), None);
        symlink("before", &path).unwrap();
        assert_eq!(named_identity_in_memory(&path), None, "links are another matter");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let other = named_identity(&path).unwrap();
        assert!(other != known && named_identity_in_memory(&path) == Some(other));
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn links_of_others_lead_nowhere() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED, because it needs root: links_of_others_lead_nowhere");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("real/deep")).unwrap();
        symlink(path("real"), path("theirs")).unwrap();
        symlink("theirs", path("ours")).unwrap();
        lchown(path("theirs"), Some(4711), Some(4711)).unwrap();
        for name in ["theirs", "theirs/deep", "ours", "ours/deep"] {
            let error = open_named_folder(&path(name)).unwrap_err();
            assert!(error.to_string().contains("number 4711"), "{name}: {error}");
            assert!(
                named_identity(&path(name)).is_err() && make_named_folder(&path(name)).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_made_but_not_behind_links() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        make_named_folder(&path("a/b/c")).unwrap();
        make_named_folder(&path("a/b/c")).unwrap();
        assert!(path("a/b/c").is_dir());
        symlink(path("nowhere"), path("dangling")).unwrap();
        make_named_folder(&path("dangling")).unwrap_err();
        let top = open_named_folder(folder.path()).unwrap();
        symlink("a", path("link")).unwrap();
        make_folder_in(&top, OsStr::new("link"), MADE).unwrap_err();
        assert!(!path("nowhere").exists());
    }
}
