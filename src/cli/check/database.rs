//! The database: a file, or one on a server.

use std::path::Path;

use super::{Finding, is_at_work, note, warn, whole};
use crate::cli::lang::{self, tr};
use crate::cli::service;
use crate::config::Settings;
use crate::daemon;
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::text::one_line;
use crate::ledger::{self, Location, Report, Server};

/// So many characters of what SQLite finds damaged are shown.
const SHOWN: usize = 200;

pub(super) async fn database(settings: &Settings) -> Finding {
    if let Location::Server(server) =
        daemon::location(settings).map_err(|error| crate::cli::explain(&error))?
    {
        return server_database(&settings.database.path, server).await;
    }
    let path = &settings.database.path;
    crate::cli::check_database_place(path).map_err(|error| crate::cli::explain(&error))?;
    writable(path).await?;
    if !service::can_answer(path) && ledger::check_writable(path, true).is_err() {
        let user = tr!(
            "this user cannot write it: run the service as its owner, or set database.path",
            "当前用户不能写这个数据库：请以它的属主运行服务，或把目录交给服务用户，或修改 database.path"
        );
        note("database", &user);
    }
    if !path.exists() {
        return Ok(tr!("{}: will be made at the first start", "{}：首次启动时创建", path.display()));
    }
    let (health, total) = contents(path).await?;
    let busy = if is_at_work(path).await {
        tr!("a daemon works with it", "守护进程正在使用")
    } else {
        tr!("no daemon works with it", "守护进程没有运行")
    };
    match health.as_str() {
        "ok" => Ok(tr!("{}: {} files, {busy}", "{}：{} 个文件，{busy}", path.display(), total)),
        trouble => Err(tr!(
            "{}: damaged: {}; the daemon puts it aside and makes a new one when it starts; or restore a backup",
            "{}：已损坏：{}；守护进程启动时会自动改名保存并重建，也可以恢复备份",
            path.display(),
            one_line(trouble, SHOWN)
        )),
    }
}

/// The server, its settings that matter, and who keeps the inbox.
async fn server_database(path: &Path, server: Server) -> Finding {
    let place = lang::in_their_language(&server.to_string());
    let ask = async move || ledger::check_server(&server, SystemClock.now()).await.map_err(whole);
    let findings = ask_as_service(path, ask).await?;
    findings.weak.iter().for_each(|text| warn("database", &lang::detail(text)));
    let joined = |texts: &[String], mark: &str| {
        let texts = texts.iter().map(|text| lang::detail(text)).collect::<Vec<_>>().join(mark);
        tr!("{place}: {texts}", "{place}：{texts}")
    };
    match findings.wrong.is_empty() {
        true => Ok(joined(&findings.good, &tr!(", ", "，"))),
        false => Err(joined(&findings.wrong, &tr!("; ", "；"))),
    }
}

/// What SQLite says of it, and how many files it holds. Read by the service's user, who chooses what stands there.
async fn contents(path: &Path) -> Result<(String, u64), String> {
    let database = path.to_owned();
    let ask = async move || {
        let report = Report::open(&database).await.map_err(whole)?;
        let place = database.display();
        let about = |error| tr!("{place}: {}", "{place}：{}", whole(error));
        let health = report.quick_check().await.map_err(about)?;
        let counts = report.counts(None).await;
        let counts = counts
            .map_err(|_| tr!("{place}: is no database of brandpost", "{place}：不是 brandpost 的数据库"))?;
        Ok((health, counts.total()))
    };
    ask_as_service(path, ask).await
}

/// Has the service's user ask the database.
pub(super) async fn ask_as_service<T: Send + 'static>(
    path: &Path,
    ask: impl AsyncFnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let read = service::run_as_service(path, ask).await;
    read.ok_or_else(|| tr!("this user cannot ask as the service's", "无法以服务用户的身份检查"))?
        .map_err(whole)?
}

/// Can the service write its database? Somebody else's rights say nothing of it.
async fn writable(path: &Path) -> Result<(), String> {
    let (database, ours) = (path.to_owned(), service::can_answer(path));
    let write = service::as_service(path, move || match ours {
        true => ledger::prove_writable(&database),
        false => ledger::check_writable(&database, false),
    });
    write.await.unwrap_or(Ok(())).map_err(|why| lang::detail(&why))
}
