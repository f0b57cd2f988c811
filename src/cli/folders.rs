//! What is in the folders and not in the table: files that wait to be taken in, folders that cannot be read.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::AnsiColor;
use tokio::time::Instant;

use super::lang::{self, tr};
use super::service;
use super::style::{self, FAINT, paint, visible};
use crate::config::Settings;
use crate::domain::brand::BrandKey;
use crate::intake::backlog::Backlog;
use crate::ledger::{self, Report};

/// So many names of a kind are listed.
const SHOWN: usize = 10;

/// So long folders are listed, and so long files are looked up in the table; and so long a file server that does not
/// answer is waited for.
const LIST: Duration = Duration::from_millis(100);
const LOOK_UP: Duration = Duration::from_millis(100);
const SILENCE: Duration = Duration::from_millis(500);

/// Lines for the end of a page.
pub(super) async fn lines(
    settings: &Settings,
    report: &Report,
    brand: Option<BrandKey>,
) -> anyhow::Result<String> {
    let mut lines = String::new();
    if let Some(why) = unwritable(settings).await.map(|why| lang::detail(&why)) {
        let text = tr!(
            "nothing can be written to the database: {why}; files wait until then",
            "数据库无法写入：{why}；文件等待恢复"
        );
        writeln!(lines, "{}", paint(AnsiColor::Red.on_default(), &text))?;
    }
    let (path, grace, settings) = (settings.database.path.clone(), settings.watch.grace, settings.clone());
    let list = service::as_service(&path, move || Backlog::list(&settings, brand, Instant::now() + LIST));
    let Ok(Some(backlog)) = tokio::time::timeout(SILENCE, list).await else {
        let text = tr!(
            "the folders cannot be looked at now: their file system does not answer",
            "目录暂时无法检查：文件系统没有响应"
        );
        writeln!(lines, "{}", paint(AnsiColor::Red.on_default(), &text))?;
        return Ok(lines);
    };
    let backlog = backlog.untaken(report, Instant::now() + LOOK_UP).await?;
    let reading =
        report.reading().await?.into_iter().map(|(path, bytes, size)| (path, (bytes, size))).collect();
    describe(&mut lines, &backlog, &reading, service::can_answer(&path), grace)?;
    Ok(lines)
}

fn waits(path: &Path, read: Option<(u64, u64)>, grace: Duration) -> String {
    let path = visible(&path.to_string_lossy());
    let Some((bytes, size)) = read else {
        let grace = grace.as_secs();
        return tr!(
            "waits to be taken in: {path} (if it ends too early, for {grace} s)",
            "等待登记：{path}（结尾不完整的最多等 {grace} 秒）"
        );
    };
    let [bytes, size] = [bytes, size].map(|count| style::bytes(count.cast_signed()));
    tr!("still being read: {path} ({bytes} of {size})", "仍在读取：{path}（{bytes}，共 {size}）")
}

async fn unwritable(settings: &Settings) -> Option<String> {
    if settings.database.server.is_some() {
        // the server says so itself
        return None;
    }
    let path = settings.database.path.clone();
    let ours = service::can_answer(&path);
    let look = service::as_service(&settings.database.path, move || ledger::check_writable(&path, ours));
    look.await?.err()
}

fn describe(
    lines: &mut String,
    backlog: &Backlog,
    reading: &HashMap<PathBuf, (u64, u64)>,
    ours: bool,
    grace: Duration,
) -> std::fmt::Result {
    let red = AnsiColor::Red.on_default();
    for path in &backlog.missing {
        writeln!(
            lines,
            "{}",
            paint(red, &tr!("not there: {}", "目录不存在：{}", visible(&path.to_string_lossy())))
        )?;
    }
    // what this user may not read, the service perhaps may
    let unread = backlog.unread.iter().filter(|_| ours);
    let unread = unread.map(|(path, why)| (visible(&path.to_string_lossy()), lang::detail(why)));
    let unread: Vec<_> =
        unread.map(|(path, why)| tr!("cannot be read: {path}: {why}", "无法读取：{path}：{why}")).collect();
    let unrecognized = backlog.unrecognized.iter();
    let unrecognized = unrecognized.map(|(path, why)| (visible(&path.to_string_lossy()), lang::detail(why)));
    let unrecognized: Vec<_> =
        unrecognized.map(|(path, why)| tr!("left alone: {path}: {why}", "未处理：{path}：{why}")).collect();
    let waiting: Vec<_> =
        backlog.files.iter().map(|(_, path)| waits(path, reading.get(path).copied(), grace)).collect();
    let yellow = AnsiColor::Yellow.on_default();
    for (texts, style, in_check) in
        [(unread, red, true), (waiting, yellow, false), (unrecognized, FAINT, true)]
    {
        for text in texts.iter().take(SHOWN) {
            writeln!(lines, "{}", paint(style, text))?;
        }
        if texts.len() > SHOWN {
            let more = texts.len() - SHOWN;
            let text = match in_check {
                true => tr!(
                    "and {more} more; `brandpost check` lists them",
                    "另有 {more} 项，`brandpost check` 可列出"
                ),
                false => tr!("and {more} more", "另有 {more} 项"),
            };
            writeln!(lines, "{}", paint(style, &text))?;
        }
    }
    if backlog.partial {
        let text = tr!("not all folders were looked at: there are many", "目录较多，未全部检查");
        writeln!(lines, "{}", paint(style::FAINT, &text))?;
    }
    Ok(())
}
