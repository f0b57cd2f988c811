//! `brandpost release` and `brandpost reserve`.

use std::process::ExitCode;

use super::lang::tr;
use crate::config::Settings;
use crate::domain::brand::{BrandKey, Displaced};
use crate::domain::text::file_name;

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
    fn joined(&self, separator: &str) -> String {
        self.slots.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
    }

    fn say(&self, what: &str) {
        let (word, brand) = (if self.slots.len() == 1 { "slot" } else { "slots" }, self.brand);
        let slots = self.joined(&tr!(", ", "、"));
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
    let is_new = ledger.report().brand(args.brand).await?.is_none();
    let mut displaced = Vec::new();
    for brand in ledger.register(&[(args.brand, settings.slots_of(args.brand))]).await? {
        displaced.extend(ledger.reserve(brand, &args.slots).await?);
    }
    ledger.close().await;
    args.say(&tr!("reserved; no file takes it until it is released", "已预留，释放之前不会被任何文件使用"));
    for Displaced { path, slot } in displaced {
        let file = file_name(&path);
        let line = match slot {
            Some(slot) => tr!("{file} gets slot {slot} instead", "{file} 改用序号 {slot}"),
            None => tr!("{file} waits for a free slot", "{file} 等待空出来的序号"),
        };
        anstream::println!("{line}");
    }
    if is_new {
        let brand = args.brand;
        let undo = format!("`brandpost release {brand} {}`", args.joined(" "));
        anstream::eprintln!(
            "{}",
            tr!(
                "{brand} is new: it has no folder yet; was it mistyped? then {undo}",
                "{brand} 是新品牌，还没有目录；如果是输错了，请执行 {undo}"
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}
