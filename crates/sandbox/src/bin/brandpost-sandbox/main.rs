//! A local stand-in for the gateway and OSS, for trying things out and for tests.

mod daemon;
mod demo;
mod folder;
mod lang;
mod samples;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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

#[tokio::main]
async fn main() -> ExitCode {
    exit_on_broken_pipe();
    let matches = lang::spoken(Cli::command()).try_get_matches();
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = cli.unwrap_or_else(|error| lang::exit(&error));
    let result = match cli.command {
        Command::Serve(args) => serve::serve(args).await,
        Command::Demo(args) => demo::demo(args).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("brandpost-sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A reader that closes the pipe (`… demo | head`) is no error, for which the standard library panics.
fn exit_on_broken_pipe() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        match info.payload_as_str() {
            // as a program ends that SIGPIPE stops
            Some(text) if text.starts_with("failed printing to stdout") => std::process::exit(141),
            _ => before(info),
        }
    }));
}
