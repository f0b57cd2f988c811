//! `brandpost backup`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::lang::tr;
use crate::config::Settings;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file that does not exist yet
    file: PathBuf,
}

pub(super) async fn backup(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    super::report(settings).await?;
    let ledger = super::ledger(settings).await?;
    ledger.backup(&args.file).await?;
    ledger.close().await;
    let (copy, database) = (args.file.display(), settings.database.path.display());
    anstream::println!("{}", tr!("{copy} holds a copy of {database}", "{database} 已备份到 {copy}"));
    Ok(ExitCode::SUCCESS)
}
