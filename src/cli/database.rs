//! `brandpost database copy`: from the file to a server.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::lang::tr;
use super::service;
use crate::config::{Problem, Problems, Settings};
use crate::daemon;
use crate::domain::clock::SystemClock;
use crate::ledger::{Location, Server, copy_to_server};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: DatabaseCommand,
}

#[derive(Debug, Subcommand)]
enum DatabaseCommand {
    /// Move the database to a PostgreSQL server; the daemon must be stopped
    Copy {
        /// The empty database, as `database.url` will name it
        #[arg(long, value_name = "URL")]
        to: String,
    },
}

pub(super) fn database(config: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let DatabaseCommand::Copy { to } = &args.command;
    let variable = ("BRANDPOST_DATABASE__URL".into(), to.into());
    let settings = Settings::load_with(config, std::iter::once(variable)).map_err(about_option)?;
    let Location::Server(server) = daemon::location(&settings)? else {
        anyhow::bail!("--to names no server");
    };
    let path = &settings.database.path;
    super::check_database_place(path)?;
    // the password was read before: it may be root's alone
    service::become_owner(path)?;
    super::block_on(copy(config, path, &server))
}

/// The option stands for a variable that nobody has set.
fn about_option(problems: Problems) -> Problems {
    let rename = |problem: Problem| match problem.place.as_str() {
        "$BRANDPOST_DATABASE__URL" => Problem { place: "--to".into(), key: String::new(), ..problem },
        _ => problem,
    };
    Problems(problems.0.into_iter().map(rename).collect())
}

async fn copy(config: &Path, path: &Path, server: &Server) -> anyhow::Result<ExitCode> {
    let moved = copy_to_server(path, server, Arc::new(SystemClock)).await?;
    let (rows, old) = (moved.rows, moved.old.display());
    anstream::println!(
        "{}",
        tr!(
            "{rows} rows are on {server} now, each compared; the file is kept as {old}. Set database.url in {} and start the daemon",
            "{rows} 行已复制到 {server} 并逐行核对；原文件保留为 {old}。请在 {} 中设置 database.url，然后启动服务",
            config.display()
        )
    );
    Ok(ExitCode::SUCCESS)
}
