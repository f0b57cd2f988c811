//! A discovery: the root and the type folders are listed beside intake's loop. A file system may take its time, and holds up
//! nothing but the discovery of what is new.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Intake;
use super::context::Context;
use super::discovery::{self, BrandFolder, Discovery, TypeFolder};
use super::schedule::Scope;
use super::watch::Unwatched;
use crate::files::Identity;
use crate::fs_timeout::{Question, not_responding};

/// Where the discovery is that is due, if one is.
#[derive(Debug, Default)]
pub(super) enum DiscoveryStep {
    #[default]
    None,
    Due(Scope),
    Listing,
    /// To be taken over by the next step.
    Listed(Box<Discovered>),
}

impl DiscoveryStep {
    pub(super) fn take_listed(&mut self) -> Option<Box<Discovered>> {
        match std::mem::take(self) {
            DiscoveryStep::Listed(discovered) => Some(discovered),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// What a discovery found.
#[derive(Debug)]
pub(super) struct Discovered {
    pub(super) scope: Scope,
    pub(super) root: io::Result<Discovery>,
    /// The folders of `[[brand]]`.
    pub(super) configured: Vec<BrandFolder>,
}

impl Intake {
    /// The discovery that is due, for the caller to run.
    pub(super) fn next_discovery(&mut self) -> Option<BoxFuture<'static, Discovered>> {
        let DiscoveryStep::Due(scope) = self.discovery else { return None };
        self.discovery = DiscoveryStep::Listing;
        self.lost_parents.clear();
        let (ctx, watched, is_first) = (self.ctx.clone(), self.parents.clone(), !self.discovered);
        Some(Box::pin(async move {
            let configured = configured_brands(&ctx, is_first);
            let (root, configured) =
                futures_util::future::join(discover_root(&ctx, watched), configured).await;
            Discovered { scope, root, configured }
        }))
    }
}

/// The folders of `[[brand]]`. Which they are is asked at the start; later it is known from the checks of their identities.
async fn configured_brands(ctx: &Context, is_first: bool) -> Vec<BrandFolder> {
    let brands = ctx.settings.brands.iter().map(async |folder| {
        let identity = if is_first { ctx.identity(&folder.path).await.flatten() } else { None };
        let (path, brand, label) = (folder.path.clone(), folder.brand, folder.label.clone());
        BrandFolder { path, brand, label, identity }
    });
    futures_util::future::join_all(brands).await
}

/// The root is listed, and then all type folders at once: who serves one of them holds up the others no longer than a look
/// at one name takes. They are watched before they are listed, but for those that are watched already.
async fn discover_root(ctx: &Arc<Context>, watched: HashMap<PathBuf, Identity>) -> io::Result<Discovery> {
    let (watched, root) = (Arc::new(watched), ctx.settings.watch.root.clone());
    let on_open = {
        let ctx = ctx.clone();
        move |path: &Path, folder: &OwnedFd, identity| watch_parent(&ctx, &watched, path, folder, identity)
    };
    let list = {
        let (settings, on_open) = (ctx.settings.clone(), on_open.clone());
        move || discovery::list_root(&settings, &on_open)
    };
    let listed = ctx.fs_timeouts.run(&root, Question::Discover, list).await;
    let (mut discovery, kinds) = listed.unwrap_or_else(|| Err(not_responding()))?;
    let device = |identity: Option<Identity>| identity.map(|(device, _)| device);
    let root_device = device(discovery.root);
    let listings = kinds.into_iter().map(async |folder: TypeFolder| {
        let question = match device(folder.identity) == root_device {
            true => Question::ListType,
            false => Question::ListMountedType,
        };
        let list = {
            let (settings, folder, on_open) = (ctx.settings.clone(), folder.clone(), on_open.clone());
            move || discovery::list_type(&settings, &folder, &on_open)
        };
        let listed = ctx.fs_timeouts.run(&folder.path, question, list).await;
        (folder, listed.unwrap_or_else(|| Err(not_responding())))
    });
    for (folder, listed) in futures_util::future::join_all(listings).await {
        discovery.add(folder, listed);
    }
    Ok(discovery)
}

fn watch_parent(
    ctx: &Context,
    watched: &HashMap<PathBuf, Identity>,
    path: &Path,
    folder: &OwnedFd,
    identity: Identity,
) -> Option<Result<(), Unwatched>> {
    // what is in it is looked at together, if it is on a local disk
    let _ = ctx.devices.learn(folder);
    let is_new = ctx.watch.is_wanted() && watched.get(path) != Some(&identity);
    is_new.then(|| ctx.watch.add(path, folder, identity))
}
