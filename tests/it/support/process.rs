//! The real binary.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use super::Bench;

/// `brandpost run`, as a process of its own. Its log is `daemon.log` beside the configuration.
pub struct Process(Child);

impl Process {
    pub fn start(bench: &Bench) -> Self {
        let program = std::env::var("BRANDPOST_BIN").unwrap_or(env!("CARGO_BIN_EXE_brandpost").into());
        let log = File::options().create(true).append(true).open(bench.folder.path().join("daemon.log"));
        let log = Stdio::from(log.unwrap());
        let child =
            Command::new(program).args(["--config"]).arg(bench.config()).arg("run").stderr(log).spawn();
        Self(child.unwrap())
    }

    /// `SIGSTOP`, `SIGCONT`.
    pub fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
