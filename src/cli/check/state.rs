//! What keeps files from being sent now: what the database says of it.

use super::database::ask_as_service;
use super::{Findings, warn, whole};
use crate::cli::lang::{self, tr};
use crate::config::Settings;
use crate::daemon;
use crate::domain::notice::NoticeName;
use crate::ledger::{Location, Notice, Report};

/// Notices, and files that are held. A database that cannot be asked has its own line.
pub(super) async fn state(findings: &mut Findings, settings: &Settings) {
    let Ok(location) = daemon::location(settings) else { return };
    if matches!(&location, Location::File(path) if !path.exists()) {
        return;
    }
    let ask = async move || {
        let report = Report::open(location).await.map_err(whole)?;
        Ok((report.notices().await.map_err(whole)?, report.held().await.map_err(whole)?))
    };
    let path = &settings.database.path;
    let Ok((notices, held)) = ask_as_service(path, ask).await else { return };
    for notice in notices {
        said(findings, &notice);
    }
    if held > 0 {
        let text = tr!(
            "{held} files are held until an operator decides: `brandpost retry --held` sends them again, `brandpost adopt --all` takes them as sent",
            "{held} 个文件待确认：`brandpost retry --held` 重新上传，`brandpost adopt --all` 视为已上传"
        );
        warn("state", &text);
    }
}

/// A page that is not served is a fault of the installation; what else there is, passes or was wanted.
fn said(findings: &mut Findings, notice: &Notice) {
    let text = lang::detail(&notice.message);
    match notice.name {
        NoticeName::Unserved => findings.add("page", Err(text)),
        // its files are counted; folders have lines of their own
        NoticeName::Rebuilt | NoticeName::Unreadable => {}
        NoticeName::Away
        | NoticeName::Paused
        | NoticeName::Root
        | NoticeName::Suspended
        | NoticeName::Throttled => warn("state", &text),
    }
}
