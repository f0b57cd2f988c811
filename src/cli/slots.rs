//! `brandpost release` and `brandpost reserve`.

use std::process::ExitCode;

use super::lang::tr;
use crate::config::Settings;
use crate::domain::brand::BrandKey;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The brand, as in OWNBRAND/1001
    #[arg(value_parser = super::brand)]
    brand: BrandKey,
    /// The slots
    #[arg(value_name = "SLOT", required = true)]
    slots: Vec<u32>,
}

impl Args {
    fn say(&self, what: &str) {
        let slots: Vec<_> = self.slots.iter().map(ToString::to_string).collect();
        let (word, brand) = (if slots.len() == 1 { "slot" } else { "slots" }, self.brand);
        let slots = slots.join(&tr!(", ", "、"));
        anstream::println!("{}", tr!("{word} {slots} of {brand} {what}", "{brand} 的序号 {slots} {what}"));
    }
}

pub(super) async fn release(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    super::report(settings).await?;
    let ledger = super::ledger(settings).await?;
    let brand = super::known_brand(ledger.report(), args.brand).await?;
    ledger.release(brand, &args.slots).await?;
    ledger.close().await;
    args.say(&tr!(
        "released; a waiting file takes it, else the next new one",
        "已释放，由等待中的文件或下一个新文件使用"
    ));
    Ok(ExitCode::SUCCESS)
}

/// May come before the first start: makes the database and the brand's row if need be.
pub(super) async fn reserve(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let ledger = super::ledger(settings).await?;
    for brand in ledger.register(&[(args.brand, settings.slots_of(args.brand))]).await? {
        ledger.reserve(brand, &args.slots).await?;
    }
    ledger.close().await;
    args.say(&tr!("reserved; no file takes it until it is released", "已预留，释放之前不会被任何文件使用"));
    Ok(ExitCode::SUCCESS)
}
