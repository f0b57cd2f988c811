//! Parse, do, tell the exit code. Everything else is in the library.

use std::process::ExitCode;

use brandpost::cli::{self, Cli};

fn main() -> ExitCode {
    brandpost::memory::give_back();
    cli::be_quiet_when_nobody_reads();
    match Cli::read().run() {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("brandpost: {error:#}");
            ExitCode::FAILURE
        }
    }
}
