//! A PostgreSQL server for the tests: a cluster of its own in a temporary folder, on a Unix socket, gone when the tests
//! have ended.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Names a server that is there already: of the process that runs these tests once more on PostgreSQL.
const SOCKET: &str = "BRANDPOST_TEST_POSTGRES";

/// Without a server the tests fail, and are not skipped.
const REQUIRED: &str = "BRANDPOST_REQUIRE_POSTGRES";

/// Its role, and the owner of all databases.
pub const ROLE: &str = "brandpost";

/// A server that runs.
#[derive(Debug)]
pub struct Cluster {
    /// Where its socket is.
    pub folder: PathBuf,
    databases: AtomicU32,
}

/// Are these the tests that run once more, on PostgreSQL?
pub fn is_engine() -> bool {
    std::env::var_os(SOCKET).is_some()
}

/// The server of this process; none, said loudly, where PostgreSQL is not installed.
pub fn cluster(test: &str) -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    let cluster = SHARED.get_or_init(|| match std::env::var_os(SOCKET) {
        Some(folder) => Some(Cluster { folder: folder.into(), databases: AtomicU32::new(0) }),
        None => Cluster::start(),
    });
    if cluster.is_none() {
        assert!(std::env::var_os(REQUIRED).is_none(), "there is no PostgreSQL, and {REQUIRED} is set");
        let text = format!("\n***** SKIPPED, because PostgreSQL is not installed: {test} *****\n");
        // past the harness, which shows nothing of tests that pass
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    cluster.as_ref()
}

impl Cluster {
    /// Another one, for a test that stops and starts it.
    pub fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap().keep();
        let owner = if rustix::process::geteuid().is_root() {
            // PostgreSQL refuses to be root
            assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
            "setpriv --reuid=postgres --regid=postgres --init-groups"
        } else {
            ""
        };
        // it ends, and leaves nothing, when this process does: then the pipe to `cat` is closed
        let script = format!(
            "cd {dir} && {owner} {bin}/initdb -D {dir}/data -A trust -U {ROLE} --no-sync -E UTF8 --locale=C.UTF-8 >{dir}/log 2>&1 || exit 1\n\
             echo \"unix_socket_directories = '{dir}'\nlisten_addresses = ''\nfsync = off\nmax_connections = 300\nshared_buffers = 64MB\" >>{dir}/data/postgresql.conf\n\
             {owner} {bin}/postgres -D {dir}/data >>{dir}/log 2>&1 & cat >/dev/null\n\
             kill -QUIT $(head -n 1 {dir}/data/postmaster.pid); wait; rm -rf {dir}",
            dir = folder.display(),
            bin = programs.display(),
        );
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap();
        // the pipe stays open for as long as this process lives
        std::mem::forget(shell);
        let cluster = Self { folder, databases: AtomicU32::new(0) };
        let end = Instant::now() + Duration::from_secs(60);
        while !cluster.psql("postgres", "SELECT 1").status().is_ok_and(|status| status.success()) {
            let log = || std::fs::read_to_string(cluster.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(cluster)
    }

    /// A new database, as `database.url` names it.
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        self.run("postgres", &format!("CREATE DATABASE {name}"));
        format!("postgres:///{name}?host={}&user={ROLE}", self.folder.display())
    }

    /// Carries out SQL in a database of ours; gives back what it prints.
    pub fn run(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql).stdout(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let mut command = Command::new("psql");
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            ROLE,
            "-d",
            database,
            "-c",
            sql,
        ]);
        command.arg("-h").arg(&self.folder).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

/// The name of the database in a URL that `database` has made.
pub fn name_of(url: &str) -> &str {
    url.trim_start_matches("postgres:///").split('?').next().unwrap()
}

/// Where the server's programs are: Debian does not have them in the path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<_> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    folders.sort();
    folders.into_iter().rev().find(|folder| Path::exists(&folder.join("initdb")))
}
