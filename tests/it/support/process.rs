//! The real binary.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Bench;

const NOBODY: u32 = 65534;

/// `brandpost run`, as a process of its own. Its log is `daemon.log` beside the configuration.
pub struct Process(Child);

impl Process {
    pub fn start(bench: &Bench) -> Self {
        Self::with(bench, &[])
    }

    /// With these variables in its environment.
    pub fn with(bench: &Bench, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program());
        command.envs(environment.iter().copied());
        Self::spawn(bench, command)
    }

    /// As another user, whose number is also that of his only group.
    pub fn start_as(bench: &Bench, user: u32) -> Self {
        let mut command = copy_of_program(bench);
        command.uid(user).gid(user);
        Self::spawn(bench, command)
    }

    /// As a user that is not root, whom folders can be closed to. All that is in the bench is theirs.
    pub fn start_as_nobody(bench: &Bench) -> Self {
        let mut command = copy_of_program(bench);
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            let owner = format!("{NOBODY}:{NOBODY}");
            assert!(
                Command::new("chown")
                    .args(["-R", &owner])
                    .arg(bench.folder.path())
                    .status()
                    .unwrap()
                    .success()
            );
            command.uid(NOBODY).gid(NOBODY);
        }
        Self::spawn(bench, command)
    }

    fn spawn(bench: &Bench, mut command: Command) -> Self {
        let log = File::options().create(true).append(true).open(bench.folder.path().join("daemon.log"));
        let log = Stdio::from(log.unwrap());
        Self(command.args(["--config"]).arg(bench.config()).arg("run").stderr(log).spawn().unwrap())
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// `SIGSTOP`, `SIGCONT`.
    pub fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
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

/// By another process: a file that this one had open for writing could not be run while some other test starts a child, which
/// inherits the descriptor.
pub fn copy_program(from: impl AsRef<OsStr>, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

fn program() -> String {
    std::env::var("BRANDPOST_BIN").unwrap_or(env!("CARGO_BIN_EXE_brandpost").into())
}

/// Where the tree lies another user may not be let in.
fn copy_of_program(bench: &Bench) -> Command {
    let copy = bench.folder.path().join("brandpost");
    copy_program(program(), &copy);
    Command::new(copy)
}
