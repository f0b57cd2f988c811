//! Parse, do, decide the exit code. Everything else is in the library.

use std::process::ExitCode;

use brandpost::cli::{self, Cli};

fn main() -> ExitCode {
    brandpost::memory::configure_malloc();
    cli::exit_on_broken_pipe();
    match Cli::read().run() {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("brandpost: {}", cli::explain(&error));
            ExitCode::FAILURE
        }
    }
}
