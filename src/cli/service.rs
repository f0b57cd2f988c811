//! Root asks, and writes, as the service's own user: it may read what the service may not, and must not follow where that
//! user leads it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread;
use tokio::sync::oneshot;

/// Whose the database is: the owner of the file or, before the first start, of the folder it is made in. Root asks the
/// folder alone if others can write there: they choose what stands under the file's name.
pub(super) fn owner(database: &Path) -> Option<(Uid, Gid)> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::fs::metadata(folder).ok()?;
    let is_chosen = geteuid().is_root() && (folder.uid() != 0 || folder.mode() & 0o022 != 0);
    let file = if is_chosen { None } else { std::fs::metadata(database).ok() };
    let about = file.unwrap_or(folder);
    Some((Uid::from_raw(about.uid()), Gid::from_raw(about.gid())))
}

/// From now on this process is the service's user, if it is root's: whatever stands under the names of the database and
/// its companions, and whenever it is exchanged, root does not open it. Threads that run already are not concerned.
///
/// # Errors
/// When the user cannot be changed.
pub(super) fn become_owner(database: &Path) -> anyhow::Result<()> {
    let Some((user, group)) = other_owner(database) else { return Ok(()) };
    become_user(user, group)
        .with_context(|| format!("cannot become the owner of {} (user {user:?})", database.display()))
}

/// Is this root, and the database somebody else's?
pub(super) fn is_another_user_s(database: &Path) -> bool {
    other_owner(database).is_some()
}

/// Whom root works with the database as; `None`: as itself, or this is not root.
fn other_owner(database: &Path) -> Option<(Uid, Gid)> {
    owner(database).filter(|(owner, _)| geteuid().is_root() && !owner.is_root())
}

/// Can this user answer for the service? Its own user can, and root, which can be any.
pub(super) fn can_answer(database: &Path) -> bool {
    let user = geteuid();
    user.is_root() || owner(database).is_none_or(|(owner, _)| owner == user)
}

/// Does the work on a thread of its own, as the service's user if this process is root's. `None`: it broke off.
pub(super) async fn as_service<T: Send + 'static>(
    database: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let user = other_owner(database);
    let (done, result) = oneshot::channel();
    std::thread::spawn(move || {
        // on Linux, users are a thread's: the others stay root's
        if user.is_none_or(|(user, group)| become_user(user, group).is_ok()) {
            let _ = done.send(work());
        }
    });
    result.await.ok()
}

/// As `as_service`, for work that waits.
pub(super) async fn run_as_service<T: Send + 'static>(
    database: &Path,
    work: impl AsyncFnOnce() -> T + Send + 'static,
) -> Option<std::io::Result<T>> {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(work()))
    };
    as_service(database, run).await
}

fn become_user(user: Uid, group: Gid) -> rustix::io::Result<()> {
    let groups = groups(user).filter(|groups| !groups.is_empty()).unwrap_or_else(|| vec![group]);
    thread::set_thread_groups(&groups)?;
    thread::set_thread_gid(groups[0])?;
    thread::set_thread_uid(user)
}

/// Its groups as the system's databases have them, its own first.
fn groups(user: Uid) -> Option<Vec<Gid>> {
    let output = Command::new("id").args(["-G", &user.as_raw().to_string()]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().map(|number| number.parse().ok().map(Gid::from_raw)).collect()
}
