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
        _ = term.recv() => bail!("stopped"),
        _ = int.recv() => bail!("stopped"),
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
    let title = "Two brands, sixteen files: pictures in three formats, one cut off, one that is text.";
    anstream::println!("{}\n{}\n", paint(BOLD, title), paint(FAINT, &folder.root().display().to_string()));
    let followed = tokio::time::timeout(LONGEST, follow(&mut daemon, folder)).await;
    followed
        .context("the daemon is not done after two minutes")
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
    let sandbox = sandbox.context("the sandbox cannot listen on a loopback port")?;
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
    format!("its log ends with\n{}\n", lines[lines.len().saturating_sub(10)..].join("\n"))
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
                bar.suspend(|| anstream::println!("{}", line(row)));
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
    if let Ok(look) = ProgressStyle::with_template("{bar:32.green} {pos}/{len} files ended  {msg}") {
        bar.set_style(look);
    }
    bar
}

fn line(row: &Row) -> String {
    let colour = match row.state.as_str() {
        "uploaded" => AnsiColor::Green,
        "retrying" => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    let state = paint(colour.on_default(), &format!("{:<9}", row.state));
    let slot = row.slot.map(|slot| format!("  slot {slot}")).unwrap_or_default();
    let why = row.error_message.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
    format!("{state} {}/{}/{}{slot}{why}", row.brand_type, row.brand_id, row.file_name)
}

/// A text in a style; printing takes the style off again where it does not belong.
fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

fn farewell(folder: &Folder, objects: usize, keep: bool) {
    let line = |what: &str, text: String| {
        anstream::println!("{} {text}", paint(FAINT, &format!("{what:<9}")));
    };
    anstream::println!();
    line("objects", format!("{objects} in {}", folder.path("objects/iotx-industry").display()));
    line("database", folder.path("brandpost.db").display().to_string());
    line("log", folder.path("brandpost.log").display().to_string());
    if !keep {
        line("", "all of it is taken away now; cargo demo --keep leaves it".into());
    }
    anstream::println!("\nWhat to try next");
    if keep {
        let config = folder.path("config.toml");
        line("ask", format!("cargo run --bin brandpost -- --config {} status", config.display()));
        line(
            "",
            format!(
                "sqlite3 {} \"select file_name, state, slot, error_message from upload_status\"",
                folder.path("brandpost.db").display()
            ),
        );
    }
    line("sandbox", "cargo run --bin brandpost-sandbox -- serve".into());
    line(
        "daemon",
        "mkdir -p inbox/OWNBRAND/1001 && cargo run -- run     (config.toml is made for the sandbox)".into(),
    );
    line("drop", "cp some.jpg inbox/OWNBRAND/1001/ && cargo run -- status".into());
}
