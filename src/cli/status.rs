//! `brandpost status`.

use std::process::ExitCode;
use std::time::Duration;

use anstyle::AnsiColor;

use super::style::{self, paint};
use crate::config::Settings;
use crate::domain::brand::Brand;
use crate::domain::failure::ErrorKind;
use crate::domain::upload::State;
use crate::intake::survey;
use crate::ledger::{Counts, Filter, Report, StatusRow};

/// As many rows as a person reads.
const SOME: u32 = 50;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this brand, as in OWNBRAND/1001
    brand: Option<Brand>,
    /// Only files in this state (may be repeated)
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<State>,
    /// A JSON array with the columns of the database view
    #[arg(long)]
    json: bool,
    /// Keep the table on the screen and current
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// At most so many files [default: 50, with --json all]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

pub(super) async fn status(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    if !settings.database.path.exists() {
        let nothing =
            if args.json { "[]" } else { "no files yet: there is no database before the first start" };
        anstream::println!("{nothing}");
        return Ok(ExitCode::SUCCESS);
    }
    let report = super::report(settings).await?;
    if let Some(brand) = args.brand {
        super::known_brand(&report, brand).await?;
    }
    if args.json {
        let rows = report.uploads(&args.filter(args.limit)).await?;
        anstream::println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        if args.watch {
            // home, and clear what is below
            anstream::print!("\x1b[H\x1b[2J");
        }
        page(settings, &report, args).await?;
        if !args.watch {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

impl Args {
    fn filter(&self, limit: Option<u32>) -> Filter {
        Filter { brand: self.brand, states: self.states.clone(), limit, ..Filter::default() }
    }
}

async fn page(settings: &Settings, report: &Report, args: &Args) -> anyhow::Result<()> {
    let limit = args.limit.unwrap_or(SOME);
    let rows = report.uploads(&args.filter(Some(limit))).await?;
    if !rows.is_empty() {
        print_rows(&rows);
        anstream::println!();
    }
    let counts = report.counts(args.brand).await?;
    anstream::println!("{}", summary_line(&counts));
    if rows.len() == limit as usize && counts.total() > u64::from(limit) {
        anstream::println!(
            "{}",
            paint(style::FAINT, &format!("the latest {limit} are shown; --limit shows more"))
        );
    }
    for notice in report.notices().await? {
        let since = style::local(&notice.since);
        anstream::println!("{} (since {since})", paint(AnsiColor::Red.on_default(), &notice.message));
    }
    for (path, why) in survey::survey(settings).map(|survey| survey.strays).unwrap_or_default() {
        let path = style::visible(&path.to_string_lossy());
        anstream::println!("{}", paint(style::FAINT, &format!("left alone: {path}: {why}")));
    }
    Ok(())
}

/// The table of files.
pub fn print_rows(rows: &[StatusRow]) {
    let mut table = style::table(
        &["ID", "BRAND", "FILE", "SLOT", "STATE", "WHEN", "WHY"],
        &["ID", "BRAND", "SLOT", "STATE", "WHEN"],
    );
    for row in rows {
        table.add_row([
            row.id.to_string(),
            format!("{}/{}", row.brand_type, row.brand_id),
            style::visible(&row.file_name),
            row.slot.map_or_else(|| "–".into(), |slot| slot.to_string()),
            paint(style::of_state(&row.state), &row.state),
            style::local(&row.updated_at),
            why(row),
        ]);
    }
    style::print(&table);
}

fn why(row: &StatusRow) -> String {
    let kind = row.error_kind.as_deref().unwrap_or_default();
    let message = style::visible(row.error_message.as_deref().unwrap_or_default());
    let code = row.error_code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
    let waits = row.state == State::Retrying.as_str() && kind != ErrorKind::Credentials.as_str();
    let next = row.next_attempt_at.as_ref().filter(|_| waits);
    let next = next.map(|time| format!("; again at {}", style::local(time))).unwrap_or_default();
    if kind.is_empty() { String::new() } else { format!("{kind}{code}: {message}{next}") }
}

/// `12 files: 10 uploaded, 2 rejected`.
pub(super) fn summary_line(counts: &Counts) -> String {
    let files = if counts.total() == 1 { "1 file".into() } else { format!("{} files", counts.total()) };
    let part = |state: State| {
        let count = counts.of(state);
        (count > 0).then(|| paint(style::of_state(state.as_str()), &format!("{count} {state}")))
    };
    let parts: Vec<_> = State::ALL.into_iter().filter_map(part).collect();
    match parts.is_empty() {
        true => "no files yet".into(),
        false => format!("{}: {}", paint(style::BOLD, &files), parts.join(", ")),
    }
}
