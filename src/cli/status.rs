//! `brandpost status`.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::AnsiColor;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::folders;
use super::lang::{self, tr};
use super::noted_table::NotedTable;
use super::style::{self, paint};
use crate::config::Settings;
use crate::domain::brand::BrandKey;
use crate::domain::clock::{Clock, SystemClock, parse_past, rfc3339};
use crate::domain::texts::state_in_chinese;
use crate::domain::upload::State;
use crate::ledger::{Counts, Filter, Report, StatusRow};

/// As many rows as a person reads.
const SOME: u32 = 50;

/// How often the screen is drawn, and over how long a rate is measured.
const DRAW: Duration = Duration::from_secs(1);
const RATE: Duration = Duration::from_mins(1);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this brand, as in OWNBRAND/1001
    #[arg(value_parser = super::brand)]
    brand: Option<BrandKey>,
    /// Only files in this state (may be repeated): queued, uploading, retrying, uploaded, failed, rejected, gone
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    states: Vec<State>,
    /// Only files in this inbox, as `brandpost inboxes` lists it
    #[arg(long, value_name = "NAME")]
    inbox: Option<String>,
    /// Only what changed since: a time or a date, or so long ago, as in 2h, 3d
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// A JSON array with the columns of the database view
    #[arg(long)]
    json: bool,
    /// The same as CSV with a heading
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Keep the table on the screen and current
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    watch: bool,
    /// At most so many files [default: 50, with --json and --csv all]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

/// A state by its word, or as people read it.
fn state(text: &str) -> Result<State, String> {
    let found =
        State::ALL.into_iter().find(|state| [state.as_str(), state_in_chinese(*state)].contains(&text));
    found.ok_or_else(|| {
        let names = State::ALL.map(|state| format!("{}（{state}）", state_in_chinese(state))).join("、");
        tr!(
            "the states are {}",
            "没有这个状态，可选：{}",
            if lang::chinese() { names } else { State::ALL.map(State::as_str).join(", ") }
        )
    })
}

fn since(text: &str) -> Result<Timestamp, String> {
    parse_past(text, &SystemClock.now().to_zoned(style::zone())).ok_or_else(|| {
        tr!(
            "write 2026-11-24, \"2026-11-24 08:00\", or how long ago: 30m, 2h, 3d",
            "请写 2026-11-24、\"2026-11-24 08:00\"，或多久以前：30m、2h、3d"
        )
    })
}

pub(super) async fn status(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let report = match super::report(settings).await {
        Err(error) if super::is_before_first_start(&error) => {
            match args.json || args.csv {
                true => super::data::print::<StatusRow>(&[], &StatusRow::COLUMNS, args.csv)?,
                false => anstream::println!(
                    "{}",
                    tr!(
                        "no files yet: there is no database before the first start",
                        "还没有文件：首次启动后才有数据库"
                    )
                ),
            }
            return Ok(ExitCode::SUCCESS);
        }
        report => report?,
    };
    if let Some(brand) = args.brand {
        super::known_brand(&report, brand).await?;
    }
    if args.json || args.csv {
        let rows = report.uploads(&args.filter(args.limit)).await?;
        super::data::print(&rows, &StatusRow::COLUMNS, args.csv)?;
    } else if args.watch {
        watch(settings, &report, args).await?;
    } else {
        anstream::print!("{}", page(settings, &report, args).await?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Draws over what is there, line by line, so that nothing flickers.
async fn watch(settings: &Settings, report: &Report, args: &Args) -> anyhow::Result<()> {
    let mut uploaded: VecDeque<(Instant, u64)> = VecDeque::new();
    let colours = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    draw("\x1b[2J")?;
    loop {
        let counts = report.counts(args.brand).await?;
        uploaded.push_back((Instant::now(), counts.of(State::Uploaded)));
        while uploaded.len() > 2 && uploaded.front().is_some_and(|(then, _)| then.elapsed() > RATE) {
            uploaded.pop_front();
        }
        let text = page(settings, report, args).await? + &rate_line(report, &uploaded).await?;
        let text = if colours { text } else { anstream::adapter::strip_str(&text).to_string() };
        let mut room = style::height().saturating_sub(1);
        let fits = |line: &&str| room.checked_sub(style::rows(line)).map(|left| room = left).is_some();
        let screen = text.lines().take_while(fits).collect::<Vec<_>>().join("\x1b[K\n");
        draw(&format!("\x1b[H{screen}\x1b[K\n\x1b[J"))?;
        tokio::time::sleep(DRAW).await;
    }
}

/// Where the cursor goes is no colour: `NO_COLOR` leaves it in.
fn draw(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.inspect_err(|error| {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            super::exit_as_sigpipe();
        }
    })
}

/// How fast it goes, and what comes next.
async fn rate_line(report: &Report, uploaded: &VecDeque<(Instant, u64)>) -> anyhow::Result<String> {
    let rate = match (uploaded.front(), uploaded.back()) {
        (Some((then, before)), Some((now, after))) if now > then => {
            let count = u32::try_from(after.saturating_sub(*before)).unwrap_or(u32::MAX);
            f64::from(count) / (*now - *then).as_secs_f64() * 60.0
        }
        _ => 0.0,
    };
    let mut text = tr!("{rate:.0} uploaded a minute", "每分钟上传 {rate:.0} 个");
    if let Some(due) = report.next_due().await?.filter(|due| *due > SystemClock.now()) {
        let due = style::local(&rfc3339(due));
        text += &tr!("; next retry at {due}", "；下次重试 {due}");
    }
    Ok(paint(style::FAINT, &text) + "\n")
}

impl Args {
    /// Are some files left out, beside those of other brands?
    fn is_part(&self) -> bool {
        !self.states.is_empty() || self.inbox.is_some() || self.since.is_some()
    }

    fn filter(&self, limit: Option<u32>) -> Filter {
        let since = self.since.map(rfc3339);
        // each state once, however often it was named
        let states = State::ALL.into_iter().filter(|state| self.states.contains(state)).collect();
        let inbox = self.inbox.clone();
        Filter { brand: self.brand, inbox, states, since, limit, ..Filter::default() }
    }
}

async fn page(settings: &Settings, report: &Report, args: &Args) -> anyhow::Result<String> {
    let mut page = String::new();
    let limit = args.limit.unwrap_or(SOME);
    let rows = report.uploads(&args.filter(Some(limit))).await?;
    if !rows.is_empty() {
        page += &(table(&rows) + "\n");
    }
    let counts = report.counts(args.brand).await?;
    let all = match args.is_part() {
        true => tr!(" (of all files)", "（不计筛选条件）"),
        false => String::new(),
    };
    writeln!(page, "{}{all}", summary_line(&counts))?;
    if rows.len() == limit as usize && counts.total() > u64::from(limit) {
        let more = tr!(
            "the latest {limit} are shown; --limit shows more",
            "只显示最近 {limit} 个，用 --limit 查看更多"
        );
        writeln!(page, "{}", paint(style::FAINT, &more))?;
    }
    for notice in report.notices().await? {
        let since = style::local(&notice.since);
        let text = paint(AnsiColor::Red.on_default(), &lang::detail(&notice.message));
        writeln!(page, "{}", tr!("{text} (since {since})", "{text}（自 {since}）"))?;
    }
    page += &away(report, |inbox| args.brand.is_none() || rows.iter().any(|row| row.inbox == inbox)).await?;
    page += &folders::lines(settings, report, args.brand).await?;
    if let Some(offset) = style::offset() {
        writeln!(page, "{offset}")?;
    }
    Ok(page)
}

/// Hosts that are away, with files that wait for them, if their inboxes are wanted.
async fn away(report: &Report, is_wanted: impl Fn(&str) -> bool) -> anyhow::Result<String> {
    let mut lines = String::new();
    let now = SystemClock.now();
    for inbox in report
        .inboxes()
        .await?
        .iter()
        .filter(|inbox| is_wanted(&inbox.inbox) && inbox.is_away(now, SignedDuration::ZERO))
    {
        let waiting = inbox.waiting();
        let (name, host) = (style::visible(&inbox.inbox), style::visible(&inbox.host));
        let seen = inbox.seen_at.as_deref().map(style::local).unwrap_or_default();
        let text = tr!(
            "{waiting} files wait for host {host} (inbox {name}), last seen {seen}",
            "{waiting} 个文件在等待主机 {host}（收件箱 {name}），最近在线 {seen}"
        );
        writeln!(lines, "{}", paint(AnsiColor::Yellow.on_default(), &text))?;
    }
    Ok(lines)
}

/// The table of files; with their inboxes, if there are several.
pub(super) fn table(rows: &[StatusRow]) -> String {
    let english = ["ID", "BRAND", "FILE", "SLOT", "STATE", "WHEN", "INBOX"];
    let chinese = ["ID", "品牌", "文件", "序号", "状态", "时间", "收件箱"];
    let headings = if lang::chinese() { chinese } else { english };
    let several = rows.iter().any(|row| row.inbox != rows[0].inbox);
    let columns = if several { 7 } else { 6 };
    let [id, brand, _, slot, state, when, _] = headings;
    let cells = |row: &StatusRow| {
        let cells = [
            row.id.to_string(),
            style::brand(row.brand(), row.brand_label.as_deref()),
            style::shortened(&style::visible(&row.file_name)),
            row.slot.map_or_else(|| "–".into(), |slot| slot.to_string()),
            paint(style::of_state(row.state), lang::state(row.state)),
            style::local(&row.updated_at),
            style::visible(&row.inbox),
        ];
        cells.into_iter().take(columns).collect()
    };
    let table = NotedTable {
        headings: &headings[..columns],
        whole: &[id, brand, slot, state, when],
        note: &tr!("WHY", "原因"),
        rows: rows.iter().map(|row| (cells(row), why(row))).collect(),
    };
    table.text()
}

/// What is worth a word of a file with which nothing is wrong.
fn remark(row: &StatusRow) -> String {
    if row.held {
        tr!(
            "held: `brandpost retry --held` sends it again, `brandpost adopt` takes it as sent",
            "待确认：`brandpost retry --held` 重传，`brandpost adopt` 视为已上传"
        )
    } else if row.state == State::Uploaded && row.slot.is_none() {
        tr!("its slot was released", "序号已释放")
    } else if row.file_name.contains("\\x") {
        tr!("its name is no UTF-8 (GBK?)", "文件名不是 UTF-8（像是 GBK）")
    } else {
        String::new()
    }
}

/// Why it is in its state, and when it is tried again.
pub(super) fn why(row: &StatusRow) -> String {
    let Some(kind) = row.error_kind else {
        return remark(row);
    };
    let message = row.error_message.as_deref().unwrap_or_default();
    let waits = row.state == State::Retrying && !kind.waits_for_breaker();
    let again = row.next_attempt_at.as_ref().filter(|_| waits).map(|time| match time.parse::<Timestamp>() {
        // its time has come, and others are before it
        Ok(due) if due <= SystemClock.now() => tr!("; again soon", "；即将重试"),
        _ => tr!("; again at {}", "；{} 重试", style::local(time)),
    });
    lang::why(kind, row.error_code.as_deref(), message) + &again.unwrap_or_default()
}

/// `12 files: 10 uploaded, 2 rejected`.
pub(super) fn summary_line(counts: &Counts) -> String {
    let total = counts.total();
    let files = match total {
        1 => tr!("1 file", "1 个文件"),
        _ => tr!("{total} files", "{total} 个文件"),
    };
    let part = |state: State| {
        let count = counts.of(state);
        let word = lang::state(state);
        (count > 0).then(|| paint(style::of_state(state), &tr!("{count} {word}", "{word} {count}")))
    };
    let parts: Vec<_> = State::ALL.into_iter().filter_map(part).collect();
    let files = paint(style::BOLD, &files);
    match parts.is_empty() {
        true => tr!("no files yet", "还没有文件"),
        false => tr!("{files}: {}", "{files}：{}", parts.join(&tr!(", ", "，"))),
    }
}
