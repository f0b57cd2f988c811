//! `brandpost show`.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use unicode_width::UnicodeWidthStr;

use super::NO;
use super::lang::{self, tr};
use super::noted_table::NotedTable;
use super::style::{self, paint, visible};
use crate::config::Settings;
use crate::domain::notice::NoticeName;
use crate::ledger::{AttemptRow, Notice, Report, StatusRow};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The id from `brandpost status`, or the path of the file
    #[arg(value_name = "ID|PATH")]
    what: OsString,
}

pub(super) async fn show(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let report = super::report(settings).await?;
    let Some(row) = find(&report, &settings.watch.root, &args.what).await? else {
        let what = visible(&args.what.to_string_lossy());
        let text = match Path::new(&args.what).exists() {
            true => tr!(
                "brandpost: {what} is not recorded: it is not complete yet, or its name or place does not count; \
                 `brandpost status` and `brandpost inspect` say more",
                "brandpost: 没有 {what} 的记录：它还没拷完，或者名字、位置不符合要求；`brandpost status` 和 `brandpost inspect` 会说明"
            ),
            false => tr!(
                "brandpost: {what} is unknown: write an id from `brandpost status`, or the path of a file",
                "brandpost: 没有 {what} 的记录：请写 `brandpost status` 里的编号，或文件路径"
            ),
        };
        anstream::eprintln!("{text}");
        return Ok(ExitCode::from(NO));
    };
    print_row(&row, report.inboxes().await?.len() > 1);
    if row.state.is_pending() && row.error_kind.is_none() {
        print_waiting(&report.notices().await?);
    }
    let attempts = report.attempts(row.id).await?;
    if !attempts.is_empty() {
        anstream::println!();
        print_attempts(&attempts);
    }
    if let Some(offset) = style::offset() {
        anstream::println!("{offset}");
    }
    Ok(ExitCode::SUCCESS)
}

/// By its number or path; as `status` shows it, too (`OWNBRAND/1001/a.jpg`).
async fn find(report: &Report, root: &Path, what: &OsString) -> anyhow::Result<Option<StatusRow>> {
    if let Some(id) = what.to_str().and_then(|text| text.parse().ok()) {
        return Ok(report.by_id(id).await?);
    }
    let path = std::path::absolute(what)?;
    for path in [Some(path.clone()), path.canonicalize().ok(), Some(root.join(what))].into_iter().flatten() {
        if let Some(row) = report.by_path(path.as_os_str()).await? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Why nothing is sent now, whatever the file.
fn print_waiting(notices: &[Notice]) {
    let stops = |notice: &&Notice| {
        matches!(notice.name, NoticeName::Suspended | NoticeName::Paused | NoticeName::Rebuilt)
    };
    for notice in notices.iter().filter(stops) {
        let name = paint(style::FAINT, &padded(&tr!("waits", "等待")));
        anstream::println!("{name} {}", lang::detail(&notice.message));
    }
}

/// Filled up to the width of the widest, as the terminal counts.
fn padded(name: &str) -> String {
    const WIDEST: usize = 11;
    name.to_owned() + &" ".repeat(WIDEST.saturating_sub(name.width()))
}

fn print_row(row: &StatusRow, several_hosts: bool) {
    let line = |name: &str, value: String| {
        anstream::println!("{} {value}", paint(style::FAINT, &padded(name)));
    };
    let maybe = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            line(name, style::visible(value));
        }
    };
    line(&tr!("file", "文件"), style::visible(&row.path));
    line(&tr!("brand", "品牌"), row.brand_name());
    if several_hosts {
        line(&tr!("inbox", "收件箱"), visible(&row.inbox));
    }
    line(&tr!("state", "状态"), paint(style::of_state(row.state), lang::state(row.state)));
    if let (Some(kind), Some(message)) = (row.error_kind, &row.error_message) {
        line(&tr!("why", "原因"), lang::why(kind, row.error_code.as_deref(), message));
        line(&tr!("what to do", "处理办法"), lang::advice(kind));
    } else if row.held {
        line(&tr!("why", "原因"), super::status::why(row));
    }
    line(&tr!("slot", "序号"), row.slot.map_or_else(|| tr!("none", "无"), |slot| slot.to_string()));
    let size = (row.width, row.height, &row.suffix);
    let picture = if let (Some(width), Some(height), Some(suffix)) = size {
        format!(", {} {width}×{height}", visible(suffix))
    } else {
        String::new()
    };
    line(&tr!("size", "大小"), format!("{}{picture}", style::bytes(row.size_bytes)));
    line(&tr!("revision", "版本"), row.revision.to_string());
    line(&tr!("counted", "计入的次数"), row.attempts.to_string());
    maybe(&tr!("next", "下次尝试"), &row.next_attempt_at.as_deref().map(style::local));
    maybe(&tr!("sha256", "sha256"), &row.sha256);
    maybe(&tr!("object", "对象"), &row.object_url);
    maybe(&tr!("etag", "etag"), &row.etag);
    maybe(&tr!("request", "请求 ID"), &row.request_id);
    line(&tr!("detected", "发现时间"), style::local(&row.detected_at));
    maybe(&tr!("uploaded", "上传时间"), &row.uploaded_at.as_deref().map(style::local));
    line(&tr!("updated", "更新时间"), style::local(&row.updated_at));
    line(&tr!("id", "id"), row.id.to_string());
}

fn print_attempts(attempts: &[AttemptRow]) {
    let english = ["ATTEMPT", "STARTED", "TOOK", "OUTCOME", "REQUEST"];
    let chinese = ["次数", "开始", "耗时", "结果", "请求 ID"];
    let headings = if lang::chinese() { chinese } else { english };
    let cells = |attempt: &AttemptRow| {
        vec![
            attempt.attempt.to_string(),
            style::local(&attempt.started_at),
            attempt.millis.map(|millis| format!("{millis} ms")).unwrap_or_default(),
            lang::outcome(attempt.outcome),
            style::visible(attempt.request_id.as_deref().unwrap_or_default()),
        ]
    };
    let table = NotedTable {
        headings: &headings,
        whole: &headings,
        note: &tr!("WHY", "原因"),
        rows: attempts.iter().map(|attempt| (cells(attempt), why(attempt))).collect(),
    };
    anstream::print!("{}", table.text());
}

fn why(attempt: &AttemptRow) -> String {
    let message = attempt.error_message.as_deref().unwrap_or_default();
    let why = |kind| lang::why(kind, attempt.error_code.as_deref(), message);
    attempt.error_kind.map(why).unwrap_or_default()
}
