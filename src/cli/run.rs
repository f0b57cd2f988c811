//! `brandpost run`.

use std::process::ExitCode;
use std::sync::Arc;

use super::lang::tr;
use super::{NO, style};
use crate::config::Settings;
use crate::daemon::{self, Untaken, Until, lifecycle};
use crate::domain::clock::SystemClock;
use crate::domain::upload::State;
use crate::ledger::{Counts, Filter, Report, StatusRow};
use crate::telemetry::log;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Work until nothing is left to do, print a summary, leave: 0 if all is uploaded, 1 if not
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(settings: Settings, args: &Args) -> anyhow::Result<ExitCode> {
    log::init(&settings.log, std::io::stderr)?;
    let shutdown = lifecycle::shutdown_signals()?;
    let until = if args.once { Until::Done } else { Until::Stopped };
    let location = daemon::location(&settings)?;
    let untaken = daemon::run(settings, Arc::new(SystemClock), until, shutdown, drop).await?;
    match until {
        Until::Stopped => Ok(ExitCode::SUCCESS),
        Until::Done => summary(&Report::open(location).await?, untaken).await,
    }
}

/// What is left, and why.
async fn summary(report: &Report, untaken: Untaken) -> anyhow::Result<ExitCode> {
    let states = State::ALL.into_iter().filter(|state| !matches!(state, State::Uploaded | State::Gone));
    let filter = Filter { states: states.collect(), ..Filter::default() };
    for row in report.uploads(&filter).await? {
        anstream::println!("{}", left(&row));
    }
    let counts = report.counts(None).await?;
    anstream::println!("{}", super::status::summary_line(&counts));
    if untaken.incomplete > 0 {
        let count = untaken.incomplete;
        anstream::println!(
            "{}",
            tr!("not taken yet: {count} still being copied", "尚未登记：{count} 个仍在拷贝")
        );
    }
    if untaken.unreadable > 0 {
        let count = untaken.unreadable;
        anstream::println!(
            "{}",
            tr!(
                "not looked at: {count} folders that cannot be read; the log says why",
                "未检查：{count} 个目录无法读取，原因见日志"
            )
        );
    }
    Ok(if all_sent(&counts) && untaken == Untaken::default() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NO)
    })
}

fn left(row: &StatusRow) -> String {
    let state = style::paint(style::of_state(row.state), super::lang::state(row.state));
    let (name, why) = (style::visible(&row.file_name), super::status::why(row));
    format!("{state}  {}/{name}  {why}", row.brand())
}

fn all_sent(counts: &Counts) -> bool {
    counts.pending() + counts.of(State::Failed) + counts.of(State::Rejected) == 0
}
