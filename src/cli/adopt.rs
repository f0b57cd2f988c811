//! `brandpost adopt`.

use std::process::ExitCode;

use super::lang::tr;
use crate::config::Settings;
use crate::domain::brand::BrandKey;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true)))]
pub(super) struct Args {
    /// One brand, as in OWNBRAND/1001
    #[arg(group = "which", value_parser = super::brand)]
    brand: Option<BrandKey>,
    /// All that are held
    #[arg(long, group = "which")]
    all: bool,
}

pub(super) async fn adopt(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    super::report(settings).await?;
    let ledger = super::ledger(settings).await?;
    let brand = match args.brand {
        Some(brand) => Some(super::known_brand(ledger.report(), brand).await?),
        None => None,
    };
    let count = ledger.adopt(brand).await?;
    ledger.close().await;
    let text = match count {
        1 => tr!("1 file is taken as sent; nothing was transferred", "1 个文件按已上传处理，没有传输"),
        _ => tr!(
            "{count} files are taken as sent; nothing was transferred",
            "{count} 个文件按已上传处理，没有传输"
        ),
    };
    anstream::println!("{text}");
    Ok(ExitCode::SUCCESS)
}
