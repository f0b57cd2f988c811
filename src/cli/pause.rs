//! `brandpost pause` and `brandpost resume`.

use std::process::ExitCode;

use super::lang::tr;
use crate::config::Settings;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Why, for those who ask
    #[arg(default_value = "", hide_default_value = true)]
    why: String,
}

pub(super) async fn pause(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    super::report(settings).await?;
    let ledger = super::ledger(settings).await?;
    ledger.suspend(&args.why).await?;
    ledger.close().await;
    let text = tr!(
        "uploads are paused; what is being sent ends, files are still taken in. `brandpost resume` lets them go on",
        "已暂停上传；正在上传的会传完，新文件照常登记。用 `brandpost resume` 恢复"
    );
    anstream::println!("{text}");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn resume(settings: &Settings) -> anyhow::Result<ExitCode> {
    super::report(settings).await?;
    let ledger = super::ledger(settings).await?;
    let text = match ledger.resume().await? {
        true => tr!("uploads go on", "已恢复上传"),
        false => tr!("uploads were not paused", "上传并没有暂停"),
    };
    ledger.close().await;
    anstream::println!("{text}");
    Ok(ExitCode::SUCCESS)
}
