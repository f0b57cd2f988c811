//! The daemon as its own program, asked by its command line: the sandbox shares no code with it.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::process::{Child, Command};

use crate::lang::{self, tr};

/// The workspace that this program was built in, if it is still there.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// A file, as `brandpost status --json` has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) brand_type: String,
    pub(crate) brand_id: u64,
    pub(crate) file_name: String,
    pub(crate) state: String,
    pub(crate) slot: Option<u64>,
    pub(crate) error_message: Option<String>,
}

impl Row {
    /// Nothing more becomes of it by itself.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.state.as_str(), "queued" | "uploading" | "retrying")
    }
}

/// A running daemon; dropping it kills it.
pub(crate) struct Daemon {
    program: PathBuf,
    config: PathBuf,
    process: Child,
}

impl Daemon {
    /// Starts it with this configuration; what it logs goes to `log`.
    pub(crate) async fn start(config: PathBuf, log: File) -> anyhow::Result<Self> {
        let program = program().await?;
        let mut command = Command::new(&program);
        command.arg("--config").arg(&config).arg("run").stderr(log).kill_on_drop(true);
        let process = command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
        Ok(Self { program, config, process })
    }

    /// All files that it knows, the latest first.
    pub(crate) async fn rows(&mut self) -> anyhow::Result<Vec<Row>> {
        if let Some(status) = self.process.try_wait()? {
            bail!(tr!(
                "the daemon ended before its work was done ({status})",
                "守护进程没做完就结束了（{status}）"
            ));
        }
        let output =
            self.ask(&["status", "--json"]).stdout(Stdio::piped()).spawn()?.wait_with_output().await?;
        ensure!(output.status.success(), "`brandpost status --json` failed");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Why a file is in its state, in the reader's language.
    pub(crate) async fn why(&self, row: &Row) -> Option<String> {
        let english = row.error_message.clone()?;
        if !lang::chinese() {
            return Some(english);
        }
        let output = self.ask(&["show", &row.id.to_string()]).output().await.ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let chinese =
            text.lines().find_map(|line| line.strip_prefix("原因")).map(|why| why.trim().to_owned());
        Some(chinese.unwrap_or(english))
    }

    /// Prints its table of files.
    pub(crate) async fn print_status(&self) -> anyhow::Result<()> {
        let status = self.ask(&["status"]).status().await?;
        ensure!(status.success(), "`brandpost status` failed");
        Ok(())
    }

    /// Stops it as systemd does.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            kill_process(pid, Signal::TERM)?;
        }
        let status = self.process.wait().await?;
        ensure!(status.success(), "the daemon did not end well ({status})");
        Ok(())
    }

    fn ask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).args(arguments);
        command
    }
}

/// `brandpost` beside this program. Cargo, if that runs us, has built this program alone, so it is asked for the other.
async fn program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("brandpost");
    match std::env::var_os("CARGO") {
        Some(cargo) if Path::new(WORKSPACE).exists() => build(cargo, program.exists()).await?,
        _ => {}
    }
    ensure!(
        program.exists(),
        "{} is not there: the demo starts the daemon that is installed beside it",
        program.display()
    );
    Ok(program)
}

async fn build(cargo: OsString, quiet: bool) -> anyhow::Result<()> {
    let mut command = Command::new(cargo);
    command.args(["build", "--bin", "brandpost", "--manifest-path", WORKSPACE]);
    command.args(quiet.then_some("--quiet"));
    command.args((!cfg!(debug_assertions)).then_some("--release"));
    // what it has set for this program would be taken for a change by build scripts
    let ours = std::env::vars_os().map(|(name, _)| name);
    let ours =
        ours.filter(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| starts_with(name, start)));
    for name in ours {
        command.env_remove(name);
    }
    let status = command.status().await?;
    ensure!(status.success(), "`cargo build --bin brandpost` failed");
    Ok(())
}

fn starts_with(name: &OsString, start: &str) -> bool {
    name.as_encoded_bytes().starts_with(start.as_bytes())
}
