//! `brandpost-sandbox demo`: the sandbox, the real daemon and sample pictures, in a temporary folder.

use std::collections::HashMap;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use brandpost::cli::style::{self, paint};
use brandpost::config::Settings;
use brandpost::daemon::lifecycle::ShutdownSignals;
use brandpost::daemon::{self, Progress, Until};
use brandpost::domain::brand::UploadId;
use brandpost::domain::clock::SystemClock;
use brandpost::domain::upload::State;
use brandpost::ledger::{Filter, Report, StatusRow};
use brandpost::sim::{Fault, FaultAction, Sandbox, SandboxOptions};
use brandpost::telemetry::log;
use image::ImageFormat;
use indicatif::{ProgressBar, ProgressStyle};

use crate::pictures::draw;
use crate::serve::write_private;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the folder for a look around
    #[arg(long)]
    keep: bool,
}

/// The sample files, for progress.
const FILES: u64 = 16;

pub(crate) async fn demo(args: Args) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let options = SandboxOptions { dir: Some(folder.path("objects")), ..SandboxOptions::default() };
    let config = config(&options);
    let sandbox = Sandbox::start(options).await.context("the sandbox cannot listen on a loopback port")?;
    // one answer that has to be tried again, to see that it is
    let busy = FaultAction::OssError {
        status: 503,
        code: "ServiceUnavailable".into(),
        message: "Please try again later.".into(),
    };
    sandbox.fault(Fault::oss(busy).times(1).matching("OTHERBRAND/2002/1"));
    std::fs::write(folder.path("config.toml"), config.replace("{port}", &sandbox.addr().port().to_string()))?;
    write_private(&folder.path("app_secret"), "sandbox-app-secret")?;
    let settings = Settings::load(&folder.path("config.toml"))?;
    log::init(&settings.log, Arc::new(File::create(folder.path("brandpost.log"))?))?;

    anstream::println!(
        "{}",
        paint(
            style::BOLD,
            "Two brands, sixteen files: pictures in three formats, one cut off, one that is text."
        )
    );
    anstream::println!("{}\n", paint(style::FAINT, &folder.root.display().to_string()));
    first_brand(&folder)?;
    std::fs::create_dir_all(folder.path("inbox/OTHERBRAND/2002"))?;
    let inbox = folder.path("inbox");
    let started = move |progress: Progress| drop(tokio::spawn(show(progress, inbox)));
    let clock = Arc::new(SystemClock);
    daemon::run(settings, clock, Until::Done, ShutdownSignals::default(), started).await?;

    let report = Report::open(&folder.path("brandpost.db")).await?;
    let mut rows = report.uploads(&Filter::default()).await?;
    rows.sort_by_key(|row| row.id);
    anstream::println!();
    anstream::print!("{}", brandpost::cli::table(&rows));
    let objects = sandbox.objects().len();
    sandbox.stop().await;
    farewell(&folder, objects, args.keep);
    if args.keep {
        folder.keep();
    }
    Ok(())
}

/// The temporary folder, taken away at the end unless it is kept.
struct Folder {
    root: PathBuf,
    keep: bool,
}

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let root = std::env::temp_dir().join(format!("brandpost-demo-{}", std::process::id()));
        std::fs::create_dir(&root).with_context(|| format!("{} cannot be made", root.display()))?;
        Ok(Self { root, keep: false })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // what is left in a temporary folder does no harm
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

fn config(options: &SandboxOptions) -> String {
    format!(
        "[gateway]\nurl = \"http://127.0.0.1:{{port}}\"\napp_id = \"{}\"\napp_key = \"{}\"\napp_secret_file = \"app_secret\"\n\
         [oss]\nhttps = \"allow\"\n[network]\nresolve = {{ \"{}\" = \"127.0.0.1:{{port}}\" }}\n\
         [retry]\nfirst_delay = \"1s\"\n[log]\nformat = \"text\"\n",
        options.app_id,
        options.app_key,
        options.bucket_host()
    )
}

/// Eleven pictures for ten slots, dropped before the daemon starts.
fn first_brand(folder: &Folder) -> anyhow::Result<()> {
    let brand = folder.path("inbox/OWNBRAND/1001");
    std::fs::create_dir_all(&brand)?;
    let formats = [("jpg", ImageFormat::Jpeg), ("png", ImageFormat::Png), ("gif", ImageFormat::Gif)];
    for number in 1..=11u32 {
        let (suffix, format) = formats[number as usize % formats.len()];
        drop_file(&brand, &format!("{number}.{suffix}"), &draw(number, 480, 360, format)?)?;
    }
    Ok(())
}

/// Dropped while the daemon watches.
fn second_brand(inbox: &Path) -> anyhow::Result<()> {
    let brand = inbox.join("OTHERBRAND/2002");
    drop_file(&brand, "营业执照.png", &draw(21, 600, 400, ImageFormat::Png)?)?;
    drop_file(&brand, "front.JPEG", &draw(22, 640, 480, ImageFormat::Jpeg)?)?;
    drop_file(&brand, "logo.gif", &draw(23, 200, 200, ImageFormat::Gif)?)?;
    drop_file(&brand, "really-a-text.png", b"This is no picture, whatever its name says.\n")?;
    let whole = draw(24, 640, 480, ImageFormat::Jpeg)?;
    let cut = brand.join(".cut");
    std::fs::write(&cut, &whole[..whole.len() / 2])?;
    // an old file: nobody is copying it any more, so it is not waited for
    let file = File::options().write(true).open(&cut)?;
    file.set_modified(file.metadata()?.modified()? - Duration::from_hours(1))?;
    Ok(std::fs::rename(cut, brand.join("cut-off.jpg"))?)
}

/// As a careful copier does: under a hidden name, then renamed.
fn drop_file(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let hidden = folder.join(format!(".{name}"));
    File::create(&hidden)?.write_all(bytes)?;
    Ok(std::fs::rename(hidden, folder.join(name))?)
}

/// Shows what happens while it happens: a bar on a terminal, a line a change elsewhere.
async fn show(progress: Progress, inbox: PathBuf) {
    if let Err(error) = second_brand(&inbox) {
        anstream::eprintln!("brandpost-sandbox: a sample cannot be made: {error:#}");
    }
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { ProgressBar::new(FILES) } else { ProgressBar::hidden() };
    if let Ok(look) = ProgressStyle::with_template("{bar:32.green} {pos}/{len} files ended  {msg}") {
        bar.set_style(look);
    }
    let mut changes = progress.ledger.changes();
    let mut seen: HashMap<UploadId, State> = HashMap::new();
    loop {
        let rows = progress.ledger.report().uploads(&Filter::default()).await.unwrap_or_default();
        for row in rows.iter().rev() {
            if seen.insert(row.id, row.state) != Some(row.state) && row.state != State::Uploading {
                bar.suspend(|| anstream::println!("{}", line(row)));
            }
        }
        let ended = rows.iter().filter(|row| !row.state.is_pending()).count();
        bar.set_position(ended as u64);
        if changes.changed().await.is_err() {
            return bar.finish_and_clear();
        }
    }
}

fn line(row: &StatusRow) -> String {
    let state = paint(style::of_state(row.state), &format!("{:<9}", row.state));
    let slot = row.slot.map(|slot| format!("slot {slot}")).unwrap_or_default();
    let why = row.error_message.as_deref().unwrap_or_default();
    format!("{state} {}/{}  {slot} {why}", row.brand(), row.file_name).trim_end().to_owned()
}

fn farewell(folder: &Folder, objects: usize, keep: bool) {
    let line = |what: &str, text: String| {
        anstream::println!("{} {text}", paint(style::FAINT, &format!("{what:<9}")));
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
