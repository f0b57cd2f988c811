//! `brandpost backup`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::lang::tr;
use super::service;
use crate::config::Settings;
use crate::daemon;
use crate::ledger::{self, Ledger, Location, Server};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file that does not exist yet
    file: PathBuf,
}

pub(super) async fn backup(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    if let Location::Server(server) = daemon::location(settings)? {
        bail!(tr!(
            "the database is on a server, which has its own tool: run {}",
            "数据库在服务器上，请用它自己的工具备份：{}",
            dump(&server, &args.file)
        ));
    }
    let database = &settings.database.path;
    super::check_database_place(database)?;
    if service::is_another_user_s(database) {
        // what stands under the database's name, and what SQLite does with what lies beside it, is not for root
        let settings = settings.clone();
        let read = service::run_as_service(database, async move || nameless(&settings).await).await;
        let read =
            read.with_context(|| tr!("this user cannot read as the service's", "无法以服务用户的身份读取"))?;
        ledger::write_copy(&read??, &args.file)?;
    } else {
        let ledger = open(settings).await?;
        ledger.backup(&args.file).await?;
        ledger.close().await;
    }
    let (copy, database) = (args.file.display(), settings.database.path.display());
    anstream::println!("{}", tr!("{copy} holds a copy of {database}", "{database} 已备份到 {copy}"));
    Ok(ExitCode::SUCCESS)
}

async fn open(settings: &Settings) -> anyhow::Result<Ledger> {
    super::report(settings).await?;
    super::ledger(settings).await
}

async fn nameless(settings: &Settings) -> anyhow::Result<File> {
    let ledger = open(settings).await?;
    let copy = ledger.nameless_backup(&settings.database.path).await;
    ledger.close().await;
    Ok(copy?)
}

/// The command that copies a database on a server.
fn dump(server: &Server, to: &Path) -> String {
    let Server { host, port, user, database, .. } = server;
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    format!(
        "pg_dump --host={} --port={port} --username={} --schema=brandpost --format=custom --file={} {}",
        quoted(host),
        quoted(user),
        quoted(&to.to_string_lossy()),
        quoted(database)
    )
}
