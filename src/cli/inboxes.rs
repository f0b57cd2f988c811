//! `brandpost inboxes`: the hosts that share the brands.

use std::process::ExitCode;

use clap::Subcommand;

use super::lang::{self, tr};
use super::style::{self, visible};
use crate::config::Settings;
use crate::domain::clock::{Clock, SystemClock};
use crate::ledger::{DaemonLock, InboxRow};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<InboxCommand>,
    /// JSON, with the column names of the view `inbox_status`
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum InboxCommand {
    /// End an inbox whose host never comes back: unsent files are gone and give their slots back
    Retire {
        /// The inbox, as `brandpost inboxes` lists it
        name: String,
    },
}

pub(super) async fn inboxes(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(InboxCommand::Retire { name }) = &args.command {
        let ledger = super::ledger(settings).await?;
        let gone = ledger.retire_inbox(name).await?;
        ledger.close().await;
        anstream::println!(
            "{}",
            tr!(
                "inbox {name} is retired; {gone} files are gone",
                "收件箱 {name} 已停用；{gone} 个文件不再上传"
            )
        );
        return Ok(ExitCode::SUCCESS);
    }
    let report = super::report(settings).await?;
    let rows = report.inboxes().await?;
    if args.json {
        super::data::print(&rows, &InboxRow::COLUMNS, false)?;
    } else {
        print(settings, &rows);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(settings: &Settings, rows: &[InboxRow]) {
    let english = ["INBOX", "HOST", "STATE", "LAST SEEN", "WAITING", "VERSION"];
    let chinese = ["收件箱", "主机", "状态", "最近在线", "待上传", "版本"];
    let headings = if lang::chinese() { chinese } else { english };
    let mut table = style::table(&headings, &headings);
    for inbox in rows {
        table.add_row([
            style::visible(&inbox.inbox),
            style::visible(&inbox.host),
            state(settings, inbox),
            inbox.seen_at.as_deref().map(style::local).unwrap_or_default(),
            inbox.waiting().to_string(),
            visible(&inbox.version),
        ]);
    }
    anstream::print!("{}", style::text(&table));
}

fn state(settings: &Settings, inbox: &InboxRow) -> String {
    let kept = match settings.database.server {
        Some(_) => inbox.is_kept(SystemClock.now()),
        None => DaemonLock::is_held(&settings.database.path),
    };
    match (kept, &inbox.retired_at) {
        (_, Some(_)) => tr!("retired", "已停用"),
        (true, None) => tr!("at work", "工作中"),
        (false, None) => tr!("away", "离线"),
    }
}
