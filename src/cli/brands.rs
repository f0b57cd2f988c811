//! `brandpost brands`.

use std::process::ExitCode;

use super::lang::{self, tr};
use super::style::{self, paint};
use crate::config::Settings;
use crate::domain::upload::State;
use crate::ledger::{Report, SummaryRow};

/// Brands with more slots than this are shown as a number.
const STRIP: i64 = 20;

/// Which column shows the slots one by one, and how many columns of the terminal that takes.
const STRIP_COLUMN: usize = 1;
const ROOM_FOR_STRIP: u16 = 96;

/// Of so many brands it is said which slots are reserved.
const SHOWN: usize = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only brands whose name or label, or the name of one of whose files, has this in it
    text: Option<String>,
    /// A JSON array with the columns of the database view
    #[arg(long)]
    json: bool,
    /// The same as CSV with a heading
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

pub(super) async fn brands(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let report = match super::report(settings).await {
        Err(error) if super::is_before_first_start(&error) => {
            match args.json || args.csv {
                true => super::data::print::<SummaryRow>(&[], &SummaryRow::COLUMNS, args.csv)?,
                false => anstream::println!(
                    "{}",
                    tr!(
                        "no brands yet: there is no database before the first start",
                        "还没有品牌：首次启动后才有数据库"
                    )
                ),
            }
            return Ok(ExitCode::SUCCESS);
        }
        report => report?,
    };
    let rows = report.brands(args.text.as_deref(), None, args.limit).await?;
    if args.json || args.csv {
        super::data::print(&rows, &SummaryRow::COLUMNS, args.csv)?;
    } else if let Some(text) = args.text.as_ref().filter(|_| rows.is_empty()) {
        let text = style::visible(text);
        anstream::println!("{}", tr!("no brand matches \"{text}\"", "没有符合“{text}”的品牌"));
    } else if rows.is_empty() {
        anstream::println!("{}", tr!("no brands yet", "还没有品牌"));
    } else {
        print(&rows);
        print_reserved(&report, &rows).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Which slots are reserved, of the first brands that have such.
async fn print_reserved(report: &Report, rows: &[SummaryRow]) -> anyhow::Result<()> {
    for row in rows.iter().filter(|row| row.slots_reserved > 0).take(SHOWN) {
        let reserved = report.taken(row.brand()).await?.into_iter().filter(|taken| taken.reserved);
        let slots: Vec<_> = reserved.map(|taken| taken.slot.to_string()).collect();
        let (brand, slots) = (row.brand(), slots.join(&tr!(", ", "、")));
        let text = tr!("{brand}: reserved: {slots}", "{brand}：已预留序号 {slots}");
        anstream::println!("{}", paint(style::FAINT, &text));
    }
    Ok(())
}

fn print(rows: &[SummaryRow]) {
    let english = ["BRAND", "SLOTS", "USED", "WAITING", "UPLOADED", "FAILED", "REJECTED", "LAST UPLOADED"];
    let chinese = ["品牌", "序号", "已用", "等待", "已上传", "云端拒绝", "不合格", "最近上传"];
    let headings = if lang::chinese() { chinese } else { english };
    let is_shown = |column: usize| column != STRIP_COLUMN || style::width() >= ROOM_FOR_STRIP;
    let headings: Vec<_> =
        (0..).zip(headings).filter(|(column, _)| is_shown(*column)).map(|(_, heading)| heading).collect();
    let mut table = style::table(&headings, &headings);
    for row in rows {
        let count = |count: i64, state| match count {
            0 => paint(style::FAINT, "0"),
            count => paint(style::of_state(state), &count.to_string()),
        };
        let cells = [
            style::brand(row.brand(), row.label.as_deref()),
            strip(row),
            format!("{}/{}", row.slots_used, row.slots_total),
            count(row.queued + row.uploading + row.retrying, State::Queued),
            count(row.uploaded, State::Uploaded),
            count(row.failed, State::Failed),
            count(row.rejected, State::Rejected),
            row.last_uploaded_at.as_deref().map(style::local).unwrap_or_default(),
        ];
        table.add_row((0..).zip(cells).filter(|(column, _)| is_shown(*column)).map(|(_, cell)| cell));
    }
    anstream::print!("{}", style::text(&table));
    if let Some(offset) = style::offset() {
        anstream::println!("{offset}");
    }
}

/// Full circles are taken, half ones reserved, empty ones free.
fn strip(row: &SummaryRow) -> String {
    if row.slots_total > STRIP {
        return String::new();
    }
    let times = |mark: &str, count: i64| mark.repeat(usize::try_from(count).unwrap_or_default());
    let free = row.slots_total - row.slots_used - row.slots_reserved;
    times("●", row.slots_used) + &times("◐", row.slots_reserved) + &times("○", free)
}
