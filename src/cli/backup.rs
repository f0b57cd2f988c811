//! `brandpost backup`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;

use super::lang::tr;
use crate::config::Settings;
use crate::daemon;
use crate::ledger::{Location, Server};

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
    super::report(settings).await?;
    let ledger = super::ledger(settings).await?;
    ledger.backup(&args.file).await?;
    ledger.close().await;
    let (copy, database) = (args.file.display(), settings.database.path.display());
    anstream::println!("{}", tr!("{copy} holds a copy of {database}", "{database} 已备份到 {copy}"));
    Ok(ExitCode::SUCCESS)
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
