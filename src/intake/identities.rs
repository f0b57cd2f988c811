//! Which folders the root and those of `[[brand]]` are by now: inotify does not tell that another one came in their place.
//! A file system may take seconds to say it, so it is asked beside the loop, and the last answer holds until the next.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Intake;
use super::agenda::Priority;
use super::context::Context;
use super::tracked::{Presence, TrackedFolder};
use crate::files::{self, Identity};
use crate::fs_timeout::Question;

/// How often they are checked: one `stat` each. Each check wakes an idle daemon, and inotify tells of most exchanges anyway.
const CHECK: Duration = Duration::from_secs(3);

/// `None`: the file system did not answer in time. Otherwise which folder is there, if one is.
type Answer = Option<Option<Identity>>;

/// The questions that are under way.
#[derive(Debug, Default)]
pub(super) struct Identities(JoinSet<(PathBuf, Answer)>);

impl Identities {
    /// Asks; while an answer is waited for, `fs_timeout` does not ask twice.
    fn ask(&mut self, ctx: &Arc<Context>, path: &Path) {
        let (ctx, path) = (ctx.clone(), path.to_owned());
        self.0.spawn(async move {
            let answer = ctx.identity(&path).await;
            (path, answer)
        });
    }

    fn take_answers(&mut self) -> Vec<(PathBuf, Option<Identity>)> {
        let ended = std::iter::from_fn(|| self.0.try_join_next());
        // a thread that broke off has answered nothing
        ended.filter_map(|ended| ended.ok().and_then(|(path, answer)| Some((path, answer?)))).collect()
    }
}

impl Context {
    /// Which folder is at this path.
    pub(super) async fn identity(&self, path: &Path) -> Answer {
        let folder = path.to_owned();
        self.fs_timeouts.run(path, Question::Identity, move || files::named_identity(&folder).ok()).await
    }
}

impl Intake {
    /// Takes the answers that have come, and asks again.
    pub(super) fn check_identities(&mut self) {
        self.schedule.identity_check = Instant::now() + CHECK.min(self.ctx.settings.watch.poll_interval);
        for (path, identity) in self.identities.take_answers() {
            self.folder_is(&path, identity);
        }
        // the first discovery asks for them itself
        if !self.discovered || self.is_same_in_memory() {
            return;
        }
        let settings = &self.ctx.settings;
        let configured = settings.brands.iter().map(|brand| &brand.path);
        for path in std::iter::once(&settings.watch.root).chain(configured) {
            self.identities.ask(&self.ctx, path);
        }
    }

    fn folder_is(&mut self, path: &Path, identity: Option<Identity>) {
        if path == self.ctx.settings.watch.root {
            if self.discovered && identity != self.root.identity && !self.root.missing {
                self.schedule.full_soon(Instant::now());
            }
            return;
        }
        let is_other = |folder: &TrackedFolder| folder.presence != Presence::Listed(identity);
        if self.discovered && self.tracked.get(path).is_some_and(is_other) {
            self.tracked.update(path, |folder| folder.set_presence(Presence::Listed(identity)));
            self.request_scan(path, Instant::now(), Priority::Urgent);
        }
    }

    /// Are all of them those that they were? False also when file systems must be asked for it.
    fn is_same_in_memory(&self) -> bool {
        let is_same = |path: &Path, before| before == files::named_identity_in_memory(path);
        let is_same_brand = |path: &PathBuf| match self.tracked.get(path)?.presence {
            Presence::Listed(Some(identity)) => is_same(path, Some(identity)).then_some(()),
            Presence::Listed(None) | Presence::Removed => None,
        };
        let (root, brands) = (self.root.identity, &self.ctx.settings.brands);
        root.is_some()
            && is_same(&self.ctx.settings.watch.root, root)
            && brands.iter().all(|brand| is_same_brand(&brand.path).is_some())
    }
}
