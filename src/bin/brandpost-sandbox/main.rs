//! A local stand-in for the gateway and OSS, for trying things out and for tests.

mod demo;
mod pictures;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A stand-in for the API gateway and OSS that verifies signatures, keeps objects and fails on demand.
#[derive(Debug, Parser)]
#[command(name = "brandpost-sandbox", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve both clouds until stopped
    Serve(serve::Args),
    /// Sandbox, daemon and sample pictures in a temporary folder: see it work
    Demo(demo::Args),
}

fn main() -> ExitCode {
    brandpost::cli::exit_on_broken_pipe();
    let command = Cli::parse().command;
    let runtime = tokio::runtime::Runtime::new().map_err(anyhow::Error::new);
    let result = runtime.and_then(|runtime| {
        runtime.block_on(async {
            match command {
                Command::Serve(args) => serve::serve(args).await,
                Command::Demo(args) => demo::demo(args).await,
            }
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("brandpost-sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}
