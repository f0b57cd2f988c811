//! Can the database be written? Asked without a daemon, and without writing to it.

use std::io::{self, Write};
use std::path::Path;

use rustix::io::Errno;

use super::with_suffix;
use crate::files;

/// What the daemon's next commit may need: a page of each of SQLite's files.
static ROOM: [u8; 64 * 1024] = [0; 64 * 1024];

/// Can anything be written to the database at `path`? `ours`: this process has the service's rights; else what they
/// may not write themselves says nothing.
///
/// # Errors
/// Why not, and what to do about it.
pub fn check_writable(path: &Path, ours: bool) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let files = ["", "-wal", "-shm"].map(|end| with_suffix(path, end));
    for place in files.iter().map(|file| &**file).filter(|file| file.exists()).chain([folder]) {
        match files::can_write(place) {
            Err(error) if ours || error.kind() != io::ErrorKind::PermissionDenied || is_immutable(&error) => {
                return Err(why(place, &error));
            }
            _ => {}
        }
    }
    match files::is_full(folder) {
        true => Err(why(folder, &Errno::NOSPC.into())),
        false => Ok(()),
    }
}

/// As above, and proves it: a file that is made beside the database and taken away again.
///
/// # Errors
/// With the reason, and what to do.
pub fn prove_writable(path: &Path) -> Result<(), String> {
    check_writable(path, true)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let probe = folder.join(format!(".brandpost-check-{}", std::process::id()));
    let written = std::fs::File::create_new(&probe).and_then(|mut file| {
        file.write_all(&ROOM)?;
        file.sync_all()
    });
    let _ = std::fs::remove_file(&probe);
    written.map_err(|error| why(folder, &error))
}

fn is_immutable(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::PERM)
}

fn why(place: &Path, error: &io::Error) -> String {
    let place = place.display();
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC) => format!("the disk of {place} is full; make room"),
        Some(Errno::DQUOT) => format!("the quota of {place} is used up; make room"),
        Some(Errno::ROFS) => format!("{place} is on a disk that is mounted read-only; mount it for writing"),
        Some(Errno::PERM) => format!("{place} must not be changed; chattr -i {place}"),
        Some(Errno::ACCESS) => {
            format!("{place} cannot be written; give the file and its folder to the service's user")
        }
        _ => format!("{place} cannot be written: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        prove_writable(&folder.path().join("x.db")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_mounted_for_reading_is_said_to_be() {
        let text = why(Path::new("/srv/x"), &Errno::ROFS.into());
        assert_eq!(text, "/srv/x is on a disk that is mounted read-only; mount it for writing");
    }
}
