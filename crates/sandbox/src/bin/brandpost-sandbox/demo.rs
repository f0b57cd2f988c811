//! `brandpost-sandbox demo`: the sandbox, the real daemon and sample pictures, in a temporary folder.

use std::collections::HashMap;
use std::fs::File;
use std::io::IsTerminal;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sandbox::{Fault, FaultAction, Sandbox, SandboxOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::daemon::{Daemon, Row};
use crate::folder::Folder;
use crate::lang::{self, tr};
use crate::samples::{self, FILES};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the folder for a look around
    #[arg(long)]
    keep: bool,
}

/// How often the daemon is asked what became of them, and how long that may take.
const ASK: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_mins(2);

const FAINT: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

pub(crate) async fn demo(args: Args) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let objects = tokio::select! {
        objects = show(&folder) => objects?,
        _ = term.recv() => bail!(tr!("stopped", "已停止")),
        _ = int.recv() => bail!(tr!("stopped", "已停止")),
    };
    farewell(&folder, objects, args.keep);
    if args.keep {
        folder.keep();
    }
    Ok(())
}

/// From an empty folder to the table of what became of all files; tells how many objects there are.
async fn show(folder: &Folder) -> anyhow::Result<usize> {
    let sandbox = start_sandbox(folder).await?;
    let log = File::create(folder.path("brandpost.log"))?;
    samples::first_brand(&folder.path("inbox"))?;
    let mut daemon = Daemon::start(folder.path("config.toml"), log).await?;
    let title = tr!(
        "Two brands, sixteen files: pictures in three formats, one cut off, one that is text.",
        "两个品牌，十六个文件：三种格式的图片，一张不完整，一个其实是文本。"
    );
    anstream::println!("{}\n{}\n", paint(BOLD, &title), paint(FAINT, &folder.root().display().to_string()));
    let followed = tokio::time::timeout(LONGEST, follow(&mut daemon, folder)).await;
    followed
        .context(tr!("the daemon is not done after two minutes", "守护进程两分钟还没做完"))
        .flatten()
        .with_context(|| last_words(folder))?;
    anstream::println!();
    daemon.print_status().await?;
    daemon.stop().await?;
    let objects = sandbox.objects().len();
    sandbox.stop().await;
    Ok(objects)
}

async fn start_sandbox(folder: &Folder) -> anyhow::Result<Sandbox> {
    let options = SandboxOptions { dir: Some(folder.path("objects")), ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options.clone()).await;
    let sandbox = sandbox
        .with_context(|| tr!("the sandbox cannot listen on a loopback port", "沙箱无法监听本机端口"))?;
    // one answer that has to be tried again, to see that it is
    let busy = FaultAction::OssError {
        status: 503,
        code: "ServiceUnavailable".into(),
        message: "Please try again later.".into(),
    };
    sandbox.fault(Fault::oss(busy).times(1).matching("OTHERBRAND/2002/1"));
    folder.configure(&options, sandbox.addr().port())?;
    Ok(sandbox)
}

/// The log's last lines: the folder will be gone when somebody could look for them.
fn last_words(folder: &Folder) -> String {
    let log = std::fs::read_to_string(folder.path("brandpost.log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let end = lines[lines.len().saturating_sub(10)..].join("\n");
    tr!("its log ends with\n{end}\n", "日志的结尾：\n{end}\n")
}

/// Shows what happens while it happens, until all files have ended: a bar on a terminal, a line a change elsewhere.
async fn follow(daemon: &mut Daemon, folder: &Folder) -> anyhow::Result<()> {
    let bar = bar();
    let mut seen: HashMap<u64, String> = HashMap::new();
    loop {
        let rows = daemon.rows().await?;
        if seen.is_empty() && !rows.is_empty() {
            samples::second_brand(&folder.path("inbox"))?;
        }
        for row in rows.iter().rev() {
            let is_news = seen.insert(row.id, row.state.clone()).as_ref() != Some(&row.state);
            if is_news && !matches!(row.state.as_str(), "queued" | "uploading") {
                let line = line(row, daemon.why(row).await);
                bar.suspend(|| anstream::println!("{line}"));
            }
        }
        let ended = rows.iter().filter(|row| row.has_ended()).count();
        bar.set_position(ended as u64);
        if ended >= FILES {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(ASK).await;
    }
}

fn bar() -> ProgressBar {
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { ProgressBar::new(FILES as u64) } else { ProgressBar::hidden() };
    let template = match lang::chinese() {
        true => "{bar:32.green} {pos}/{len} 个文件有了结果  {msg}",
        false => "{bar:32.green} {pos}/{len} files ended  {msg}",
    };
    if let Ok(look) = ProgressStyle::with_template(template) {
        bar.set_style(look);
    }
    bar
}

fn line(row: &Row, why: Option<String>) -> String {
    let colour = match row.state.as_str() {
        "uploaded" => AnsiColor::Green,
        "retrying" => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    let state = paint(colour.on_default(), &padded(lang::state(&row.state), 9));
    let slot = row.slot.map(|slot| tr!("  slot {slot}", "  序号 {slot}")).unwrap_or_default();
    let why = why.map(|why| format!("  {why}")).unwrap_or_default();
    format!("{state} {}/{}/{}{slot}{why}", row.brand_type, row.brand_id, row.file_name)
}

/// Filled up to so many columns: a Chinese character takes two.
fn padded(text: &str, columns: usize) -> String {
    let width: usize = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
    text.to_owned() + &" ".repeat(columns.saturating_sub(width))
}

/// A text in a style; printing takes the style off again where it does not belong.
fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

fn farewell(folder: &Folder, objects: usize, keep: bool) {
    let line = |what: String, text: String| {
        anstream::println!("{} {text}", paint(FAINT, &padded(&what, 9)));
    };
    anstream::println!();
    let bucket = folder.path("objects/iotx-industry");
    line(tr!("objects", "对象"), tr!("{objects} in {}", "{objects} 个，在 {}", bucket.display()));
    line(tr!("database", "数据库"), folder.path("brandpost.db").display().to_string());
    line(tr!("log", "日志"), folder.path("brandpost.log").display().to_string());
    if !keep {
        let text = tr!(
            "all of it is taken away now; cargo demo --keep leaves it",
            "以上内容随即删除；要保留请用 cargo demo --keep"
        );
        line(String::new(), text);
    }
    anstream::println!("\n{}", tr!("What to try next", "接下来可以试"));
    if keep {
        let config = folder.path("config.toml");
        line(
            tr!("ask", "查询"),
            format!("cargo run --bin brandpost -- --config {} status", config.display()),
        );
        line(
            String::new(),
            format!(
                "sqlite3 {} \"select file_name, state, slot, error_message from upload_status\"",
                folder.path("brandpost.db").display()
            ),
        );
    }
    line(tr!("sandbox", "沙箱"), "cargo run --bin brandpost-sandbox -- serve".into());
    line(
        tr!("daemon", "守护进程"),
        tr!(
            "mkdir -p inbox/OWNBRAND/1001 && cargo run -- run     (config.toml is made for the sandbox)",
            "mkdir -p inbox/OWNBRAND/1001 && cargo run -- run     （config.toml 原样可用）"
        ),
    );
    line(tr!("drop", "放图片"), "cp some.jpg inbox/OWNBRAND/1001/ && cargo run -- status".into());
}
