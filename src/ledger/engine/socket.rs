//! The folder of a server's Unix socket. Who can put a socket of his own there is sent the password in clear when he asks for
//! it; so nobody may but root, this user, and the account that the server runs as.

use std::fs::{Metadata, metadata, read_to_string};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use crate::files;

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// The account that PostgreSQL runs as, unless somebody chose another one.
const SERVER: &str = "postgres";

/// Makes sure that others cannot stand in for the server. A folder that is not there is the connection's matter.
pub(super) fn check(folder: &Path) -> Result<(), String> {
    let Ok(real) = folder.canonicalize() else { return Ok(()) };
    let about = metadata(&real).map_err(|error| format!("{}: {error}", folder.display()))?;
    let accounts = read_to_string("/etc/passwd").unwrap_or_default();
    let is_known = |owner: u32| {
        owner == 0
            || owner == geteuid().as_raw()
            || account(&accounts, |name, _| name == SERVER).is_some_and(|(id, _)| id == owner)
    };
    let above: Vec<_> = real.ancestors().skip(1).filter_map(|folder| metadata(folder).ok()).collect();
    // root made it for an account that runs the server
    let by_root =
        above.iter().all(|above| above.uid() == 0 && above.mode() & (GROUP_WRITES | OTHERS_WRITE) == 0);
    let stands = |above: &Metadata| {
        is_known(above.uid())
            && (above.mode() & (GROUP_WRITES | OTHERS_WRITE) == 0 || above.mode() & STICKY != 0)
    };
    // a link of somebody else's leads wherever he wants, later too
    let is_ours = (is_known(about.uid()) || by_root)
        && above.iter().all(stands)
        && files::named_identity(folder).is_ok();
    if is_ours && is_closed(&about, &accounts) {
        return Ok(());
    }
    Err(format!(
        "others can write in {}, or in a folder above it, and so stand in for the server and be sent the password: let the server have its socket in a folder that is its own (unix_socket_directories, e.g. /run/postgresql)",
        folder.display()
    ))
}

/// May only its owner write there, or the group that is his own (Debian: 2775, postgres:postgres)?
fn is_closed(about: &Metadata, accounts: &str) -> bool {
    let own = account(accounts, |_, id| id == about.uid()).map(|(_, group)| group);
    let group = about.mode() & GROUP_WRITES == 0 || about.gid() == 0 || own == Some(about.gid());
    group && about.mode() & OTHERS_WRITE == 0
}

/// The ids of the first account that is meant, and of its group: passwd(5).
fn account(accounts: &str, is_meant: impl Fn(&str, u32) -> bool) -> Option<(u32, u32)> {
    accounts.lines().find_map(|line| {
        let mut columns = line.split(':');
        let (name, _, id, group) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
        let (id, group) = (id.parse().ok()?, group.parse().ok()?);
        is_meant(name, id).then_some((id, group))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    /// An account that is neither root's nor the server's.
    const EVIL: u32 = 47_666;

    #[test]
    fn a_folder_in_which_others_write_holds_no_socket() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("run");
        create_dir(&folder).unwrap();
        for (mode, good) in
            [(0o755, true), (0o700, true), (0o2775, true), (0o777, false), (0o1777, false), (0o757, false)]
        {
            set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            assert_eq!(check(&folder).is_ok(), good, "{mode:o}");
        }
        set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        // who can write above it can put another one in its place
        set_permissions(top.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(check(&folder).is_err());
        set_permissions(top.path(), Permissions::from_mode(0o1777)).unwrap();
        assert!(check(&folder).is_ok());
        assert!(check(Path::new("/tmp")).is_err_and(|error| error.contains("be sent the password")));
        assert!(check(&top.path().join("nowhere")).is_ok());
    }

    #[test]
    fn what_belongs_to_others_holds_no_socket() {
        // others can be played by root only
        if !geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let (folder, link) = (top.path().join("run"), top.path().join("link"));
        create_dir(&folder).unwrap();
        symlink(&folder, &link).unwrap();
        assert!(check(&link).is_ok());
        std::os::unix::fs::lchown(&link, Some(EVIL), None).unwrap();
        assert!(check(&link).is_err());
        assert!(check(&folder).is_ok());
        // its owner is not the server; a group that is not the owner's
        chown(&folder, Some(EVIL), None).unwrap();
        assert!(check(&folder).is_err());
        chown(&folder, Some(0), Some(EVIL)).unwrap();
        set_permissions(&folder, Permissions::from_mode(0o775)).unwrap();
        assert!(check(&folder).is_err());
    }
}
