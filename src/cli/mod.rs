//! The command line: one file a command.

mod adopt;
mod backup;
mod brands;
mod check;
mod data;
mod database;
mod folders;
mod generate;
mod help;
mod inboxes;
mod inspect;
mod lang;
mod noted_table;
mod page;
mod pause;
mod retry;
mod robot;
mod run;
mod service;
mod show;
mod slots;
mod status;
mod style;
mod usage;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Settings, locate};
use crate::daemon;
use crate::domain::brand::{BrandError, BrandKey, BrandType, read_folder_name};
use crate::domain::clock::SystemClock;
use crate::ledger::{BrandRow, Ledger, LedgerError, Location, Report};
use lang::tr;

/// Uploads the qualification pictures of brands to Alibaba Cloud OSS, and knows what became of every file.
#[derive(Debug, Parser)]
#[command(name = "brandpost", version, max_term_width = 100)]
pub struct Cli {
    #[arg(long, global = true, value_name = "FILE", help = CONFIG_HELP)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the folders and upload what is dropped there
    Run(run::Args),
    /// What became of the files, the latest first
    Status(status::Args),
    /// One file: everything, with its attempts
    Show(show::Args),
    /// Brands and their slots
    Brands(brands::Args),
    /// Queue files again, now
    Retry(retry::Args),
    /// Take files that are held since the database was rebuilt as sent already
    Adopt(adopt::Args),
    /// Free slots of a brand; a waiting file takes them
    Release(slots::Args),
    /// Mark slots of a brand as filled by other means
    Reserve(slots::Args),
    /// Send nothing until `resume`; files are still taken in
    Pause(pause::Args),
    /// Let uploads go on
    Resume,
    /// Print the address of the page with its token, ready to open
    Page,
    /// Is everything as it must be? Configuration, folders, database, secret, clock
    Check(check::Args),
    /// The verdict on pictures that are in no inbox yet
    Inspect(inspect::Args),
    /// Write a consistent copy of the database, also while the daemon runs
    Backup(backup::Args),
    /// The hosts that share the brands, and what waits for each
    Inboxes(inboxes::Args),
    /// Move the database to a PostgreSQL server
    Database(database::Args),
    /// Print completions for a shell
    Completions(generate::CompletionArgs),
    /// Print the manual page
    Man(generate::ManArgs),
}

impl Cli {
    /// Reads the command line; help is in the reader's language. Mistakes and `--help` end the process.
    pub fn read() -> Self {
        let matches = help::localized(Self::command()).try_get_matches();
        matches.and_then(|matches| Self::from_arg_matches(&matches)).unwrap_or_else(|error| {
            let Some(text) = usage::explain(&error) else { error.exit() };
            anstream::eprintln!("{text}");
            std::process::exit(error.exit_code());
        })
    }

    /// Does what was asked and tells the exit code.
    ///
    /// # Errors
    /// With one line for the operator.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match &self.command {
            Command::Completions(args) => return Ok(generate::completions(args)),
            Command::Man(args) => return generate::man(args),
            Command::Inspect(args) => return inspect::inspect(self.config, args),
            _ => {}
        }
        let path = locate(self.config)?;
        if let Command::Check(args) = &self.command {
            return block_on(check::check(&path, args));
        }
        if let Command::Database(args) = &self.command {
            return database::database(&path, args);
        }
        let mut settings = Settings::load(&path)?;
        if !matches!(self.command, Command::Run(_) | Command::Backup(_)) {
            let database = &settings.database.path;
            check_database_place(database)?;
            // which may be root's alone
            if let Some(password) =
                settings.database.server.as_mut().and_then(|server| server.password.as_mut())
            {
                *password = password.read_ahead()?;
            }
            service::become_owner(database)?;
        }
        block_on(self.command.run(settings))
    }
}

impl Command {
    /// Those that need a configuration without mistakes.
    async fn run(self, settings: Settings) -> anyhow::Result<ExitCode> {
        match self {
            Command::Run(args) => run::run(settings, &args).await,
            Command::Status(args) => status::status(&settings, &args).await,
            Command::Show(args) => show::show(&settings, &args).await,
            Command::Brands(args) => brands::brands(&settings, &args).await,
            Command::Pause(args) => pause::pause(&settings, &args).await,
            Command::Page => page::page(&settings).await,
            Command::Resume => pause::resume(&settings).await,
            Command::Retry(args) => retry::retry(&settings, &args).await,
            Command::Adopt(args) => adopt::adopt(&settings, &args).await,
            Command::Release(args) => slots::release(&settings, &args).await,
            Command::Reserve(args) => slots::reserve(&settings, &args).await,
            Command::Backup(args) => backup::backup(&settings, &args).await,
            Command::Inboxes(args) => inboxes::inboxes(&settings, &args).await,
            Command::Check(_)
            | Command::Database(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Inspect(_) => Ok(ExitCode::SUCCESS),
        }
    }
}

/// So many threads wait for file systems and the like at most, with room for others below the unit's `TasksMax`.
const THREADS_THAT_WAIT: usize = 960;

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(THREADS_THAT_WAIT)
        .enable_all()
        .build()?;
    let code = runtime.block_on(command);
    // a look at a folder that hangs is not waited for
    runtime.shutdown_background();
    code
}

/// `brandpost status | head`: a reader that closes the pipe is no error; a disk that is full is one, reported in a line.
/// (The standard library panics in both cases.)
pub fn exit_on_broken_pipe() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            exit_as_sigpipe();
        }
        if text.starts_with("failed printing to stdout") {
            anstream::eprintln!("brandpost: {text}");
            std::process::exit(1);
        }
        before(info);
    }));
}

/// An error with its causes, in the reader's language where it is a text of ours.
pub fn explain(error: &anyhow::Error) -> String {
    // what the database or a cloud says, and arguments, may hold what moves the cursor
    lang::error(error.as_ref()).lines().map(style::visible).collect::<Vec<_>>().join("\n")
}

/// Ends as `SIGPIPE` would.
fn exit_as_sigpipe() -> ! {
    std::process::exit(141)
}

/// The service's user chooses what stands under the database's name: root follows no link of his, and opens no file that
/// belongs to somebody else than the folder.
fn check_database_place(path: &Path) -> anyhow::Result<()> {
    let about = |path: &Path| std::fs::symlink_metadata(path).ok();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Some(file), Some(folder)) = (about(path), std::fs::metadata(folder).ok()) else {
        return Ok(());
    };
    let trusted = folder.uid() == 0 && folder.mode() & 0o022 == 0;
    let expected = file.is_file() && file.uid() == folder.uid();
    anyhow::ensure!(
        trusted || expected || !rustix::process::geteuid().is_root(),
        tr!(
            "{}: this is no database of the folder's owner but a link or another user's file; root does not open it",
            "{}：这不是目录属主的数据库文件，而是链接或别人的文件；root 不会打开它",
            path.display()
        )
    );
    Ok(())
}

/// Is there no database yet?
fn is_before_first_start(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LedgerError::NoneYet(_)))
}

async fn report(settings: &Settings) -> anyhow::Result<Report> {
    let location = daemon::location(settings)?;
    if let Location::File(path) = &location {
        check_database_place(path)?;
    }
    Ok(Report::open(location).await?)
}

async fn ledger(settings: &Settings) -> anyhow::Result<Ledger> {
    let location = daemon::location(settings)?;
    if let Location::File(path) = &location {
        check_database_place(path)?;
    }
    let opened = Ledger::open(&location, std::sync::Arc::new(SystemClock)).await;
    let is_others = |path: &PathBuf| !service::can_answer(path);
    let is_others = matches!(&location, Location::File(path) if is_others(path));
    opened.map_err(|error| match is_others && !error.is_locked() {
        true => anyhow::Error::new(error).context(tr!(
            "this command writes to the database, which belongs to another user: run it as that user (sudo -u brandpost brandpost …) or as root",
            "这个命令要写数据库，而数据库属于另一个用户：请以该用户（sudo -u brandpost brandpost …）或 root 身份执行"
        )),
        false => error.into(),
    })
}

/// A brand as it is written, or as its folder is called: `OWNBRAND/1001`, `OWNBRAND/1001-Acme`.
fn brand(text: &str) -> Result<BrandKey, BrandError> {
    let of_folder = || {
        let (kind, folder) = text.split_once('/')?;
        Some((kind.parse::<BrandType>().ok()?, read_folder_name(folder).ok()?.0).into())
    };
    text.parse().or_else(|error| of_folder().ok_or(error))
}

/// The row of a brand that must be known already.
async fn known_brand(report: &Report, brand: BrandKey) -> anyhow::Result<BrandRow> {
    let row = report.brand(brand).await?.map(|(row, _)| row);
    row.with_context(|| {
        format!("{brand} is unknown: it has no folder yet; `brandpost status` lists what there is")
    })
}

const CONFIG_HELP: &str =
    "The configuration file [default: $BRANDPOST_CONFIG, ./config.toml, /etc/brandpost/config.toml]";

/// An answer of "no": not an error of the program.
const NO: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_is_named_by_its_id_or_as_its_folder_is_called() {
        let acme = brand("OWNBRAND/1001").unwrap();
        for text in ["OWNBRAND/1001-海尔", "OWNBRAND/1001 Acme"] {
            assert_eq!(brand(text).unwrap(), acme);
        }
        for text in ["OWNBRAND/海尔", "OWNBRAND/01", "brand/1", "1001", "OWNBRAND/1001x"] {
            let error = text.parse::<BrandKey>().unwrap_err();
            assert_eq!(brand(text).unwrap_err().to_string(), error.to_string());
        }
    }
}
