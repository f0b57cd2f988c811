//! `brandpost retry`.

use std::process::ExitCode;

use anyhow::bail;

use super::lang::tr;
use crate::config::Settings;
use crate::domain::brand::UploadId;
use crate::ledger::RetrySelection;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true)))]
pub(super) struct Args {
    /// Ids from `brandpost status`, or one brand as in OWNBRAND/1001
    #[arg(value_name = "ID|BRAND", group = "which")]
    what: Vec<String>,
    /// All that the cloud refused
    #[arg(long, group = "which")]
    failed: bool,
    /// All that are held since the database was rebuilt
    #[arg(long, group = "which")]
    held: bool,
    /// All that were rejected here
    #[arg(long, group = "which")]
    rejected: bool,
}

pub(super) async fn retry(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    super::report(settings).await?;
    let ledger = super::ledger(settings).await?;
    let which = match args.what.as_slice() {
        _ if args.failed => RetrySelection::Failed,
        _ if args.held => RetrySelection::Held,
        _ if args.rejected => RetrySelection::Rejected,
        [brand] if brand.contains('/') => {
            let brand = super::brand(brand)?;
            RetrySelection::Brand(super::known_brand(ledger.report(), brand).await?)
        }
        ids => RetrySelection::Ids(ids.iter().map(|id| parse_id(id)).collect::<anyhow::Result<_>>()?),
    };
    let count = ledger.retry(&which).await?;
    ledger.close().await;
    let text = match count {
        1 => tr!("1 file is on the way again", "1 个文件已重新排队"),
        _ => tr!("{count} files are on the way again", "{count} 个文件已重新排队"),
    };
    anstream::println!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn parse_id(text: &str) -> anyhow::Result<UploadId> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => bail!("\"{text}\" is neither an id nor a brand; `brandpost status` shows both"),
    }
}
