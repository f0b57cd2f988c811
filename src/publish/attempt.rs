//! One claim → one outcome. Read this first.
//!
//! The descriptor that is compared with the inspected file is the one that is sent. Every failure comes with
//! its remedy: what can be repaired at once is tried once more at once, the rest is for `policy` to decide.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;

use super::shared::Shared;
use crate::cloud::bucket::Object;
use crate::cloud::{CloudError, Grant, GrantRequest, Receipt, Remedy, Target};
use crate::domain::failure::{ErrorKind, Failure};
use crate::files::{self, FileMeta, Kind};
use crate::fs_timeout::{OpenFile, Question, not_responding};
use crate::ledger::Claim;

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum AttemptResult {
    /// On OSS.
    Uploaded {
        target: Target,
        receipt: Receipt,
        /// The file was changed while it was being sent.
        changed: bool,
    },
    /// The file is not there, or not the one that was inspected. Intake finds out whether it is gone, renamed or
    /// away for a while.
    FileChanged(Failure),
    /// A cloud refused it, or could not be reached.
    Refused(CloudError),
    /// The grant cannot be used.
    BadGrant(Failure),
}

/// Makes one attempt.
pub(super) async fn attempt(shared: &Shared, claim: &Claim) -> AttemptResult {
    let mut repaired = HashSet::new();
    let (mut repair, mut sent) = (None, false);
    loop {
        let mut error = match once(shared, claim, repair).await {
            Ok(AttemptResult::FileChanged(failure)) if sent => {
                return AttemptResult::Refused(CloudError::of_file(failure.message, sent));
            }
            Ok(outcome) => return outcome,
            Err(error) => error,
        };
        // of what was sent before it was repaired, too
        sent |= error.sent;
        error.sent = sent;
        repair = Some(error.remedy);
        if error.remedy.needs_fresh_grant() {
            shared.grants.forget(claim.id());
        }
        let repairable = error.remedy.is_repaired_at_once();
        if !repairable || !repaired.insert(std::mem::discriminant(&error.remedy)) {
            return AttemptResult::Refused(error);
        }
        tracing::debug!(id = claim.id().0, %error, remedy = ?error.remedy, "tried again at once");
    }
}

async fn once(shared: &Shared, claim: &Claim, repair: Option<Remedy>) -> Result<AttemptResult, CloudError> {
    let file = match open(shared, claim).await {
        Ok(file) => Arc::new(file),
        Err(outcome) => return Ok(outcome),
    };
    let grant = grant(shared, claim).await?;
    let target = match target(shared, claim, &grant).await {
        Ok(target) => target,
        Err(failure) => {
            shared.grants.forget(claim.id());
            return Ok(AttemptResult::BadGrant(Failure { request_id: grant.request_id.clone(), ..failure }));
        }
    };
    let sent = file.clone();
    let (format, digests) = (claim.format, &claim.digests);
    let object = Object {
        file,
        size: claim.stamp.size,
        format,
        digests,
        toggle_content_type: repair == Some(Remedy::ToggleContentType),
    };
    let began = Instant::now();
    let receipt = shared.clouds.bucket.put(&target, &grant, object).await;
    shared.metrics.put(began.elapsed());
    let receipt = receipt?;
    shared.grants.forget(claim.id());
    let changed = has_changed(shared, claim, sent).await;
    Ok(AttemptResult::Uploaded { target, receipt, changed })
}

/// Is the file that was sent another one now? What cannot be looked at, intake finds out.
async fn has_changed(shared: &Shared, claim: &Claim, sent: Arc<OpenFile>) -> bool {
    let inspected = claim.stamp;
    let is_another = move |sent: &OpenFile| files::stamp(&**sent).is_ok_and(|stamp| stamp != inspected);
    if sent.is_on_disk() {
        return is_another(&sent);
    }
    let look = move || {
        let changed = is_another(&sent);
        // this thread may wait for its end
        Arc::into_inner(sent).into_iter().for_each(OpenFile::close);
        changed
    };
    shared.fs_timeouts.run(&claim.path, Question::HasChanged, look).await.unwrap_or_default()
}

/// Where the file goes: to an object that is no other file's.
async fn target(shared: &Shared, claim: &Claim, grant: &Grant) -> Result<Target, Failure> {
    let target = Target::new(&shared.settings.oss, grant, grant_request(claim))?;
    shared.objects.reserve(&shared.ledger, &target.object_url(), claim).await?;
    Ok(target)
}

/// Opens the file and makes sure that it is the one that was inspected.
async fn open(shared: &Shared, claim: &Claim) -> Result<OpenFile, AttemptResult> {
    let folder = claim.path.parent().unwrap_or(Path::new("/"));
    let top = shared.settings.top_of(folder);
    if top.is_some_and(|top| !folder.starts_with(top)) {
        return Err(changed("its folder is no brand's any more: name it in [[brand]], or move the file"));
    }
    let opened = match shared.disks.open(folder, claim.path.file_name().unwrap_or_default()) {
        Some(file) => with_meta(OpenFile::on_disk(file)),
        None => open_in_time(shared, claim, top.map(Path::to_owned)).await,
    };
    match opened {
        Ok((file, meta)) if meta.kind == Kind::Regular && meta.stamp == claim.stamp => Ok(file),
        Ok(_) => Err(changed("the file has changed since it was checked; it is checked again")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(changed("the file is not where it was")),
        Err(error) => Err(changed(&format!("the file cannot be opened now: {error}"))),
    }
}

fn with_meta(file: OpenFile) -> io::Result<(OpenFile, FileMeta)> {
    let meta = files::look_at(&*file)?;
    Ok((file, meta))
}

/// Opens it on another thread, which may wait for ever.
async fn open_in_time(
    shared: &Shared,
    claim: &Claim,
    top: Option<PathBuf>,
) -> io::Result<(OpenFile, FileMeta)> {
    let (path, disks) = (claim.path.clone(), shared.disks.clone());
    let open = move || {
        let folder = files::open_brand_folder(top.as_deref(), path.parent().unwrap_or(Path::new("/")))?;
        let file = files::open_regular(folder, path.file_name().unwrap_or_default())?;
        with_meta(if disks.learn(&file) { OpenFile::on_disk(file) } else { file.into() })
    };
    let opened = shared.fs_timeouts.run(&claim.path, Question::Open, open).await;
    opened.unwrap_or_else(|| Err(not_responding()))
}

fn changed(message: &str) -> AttemptResult {
    AttemptResult::FileChanged(Failure::new(ErrorKind::FileChanged, message))
}

fn grant_request(claim: &Claim) -> GrantRequest {
    GrantRequest { brand: claim.brand, slot: claim.slot, format: claim.format }
}

/// The grant that an earlier attempt left, or a new one. It is requested only now, when the upload may start, so
/// that it does not expire in a queue.
async fn grant(shared: &Shared, claim: &Claim) -> Result<Arc<Grant>, CloudError> {
    if let Some(grant) = shared.grants.get(claim.id(), claim.slot, claim.format, shared.clouds.clock.now()) {
        return Ok(grant);
    }
    shared.pace.gateway().await;
    let began = Instant::now();
    let grant = shared.clouds.gateway.grant(grant_request(claim)).await;
    shared.metrics.gateway(began.elapsed());
    let grant = Arc::new(grant?);
    shared.grants.put(claim.id(), claim.slot, claim.format, grant.clone(), shared.clouds.clock.now());
    Ok(grant)
}
