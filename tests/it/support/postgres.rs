//! A PostgreSQL server for the tests: a cluster of its own in a temporary folder, on a Unix socket (and, secured, on a port
//! of this machine), gone when the tests have ended.

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use brandpost::ledger::{Location, Server};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Names a server that is there already: of the process that runs these tests once more on PostgreSQL.
const SOCKET: &str = "BRANDPOST_TEST_POSTGRES";

/// Without a server the tests fail, and are not skipped.
const REQUIRED: &str = "BRANDPOST_REQUIRE_POSTGRES";

/// Its role, and the owner of all databases.
pub const ROLE: &str = "brandpost";

/// One that is killed is started again. It ends, and leaves nothing, when this process does: then the pipe to `cat` is
/// closed.
const SCRIPT: &str = r#"
    $OWNER $BIN/initdb -D data -A trust -U brandpost --no-sync -E UTF8 --locale=C.UTF-8 >log 2>&1 || exit 1
    cat >>data/postgresql.conf <<END
unix_socket_directories = '$DIR'
listen_addresses = '127.0.0.1'
port = $PORT
ssl = on
ssl_cert_file = '$DIR/server.pem'
ssl_key_file = '$DIR/server.key'
max_connections = 300
shared_buffers = 64MB
END
    printf 'local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n' >data/pg_hba.conf
    (until [ -e ended ]; do $OWNER $BIN/postgres -D data >>log 2>&1; sleep 0.2; done) &
    cat >/dev/null
    touch ended
    kill -QUIT $(head -n 1 data/postmaster.pid)
    wait
    rm -rf "$DIR"
"#;

/// A server that runs.
#[derive(Debug)]
pub struct Cluster {
    /// Where its socket is, and the certificate of the authority that its own is from.
    pub folder: PathBuf,
    /// Its port, which is also a part of the socket's name.
    pub port: u16,
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
        Some(server) => {
            let server = server.into_string().unwrap();
            let (folder, port) = server.rsplit_once(':').unwrap();
            Some(Cluster { folder: folder.into(), port: port.parse().unwrap(), databases: AtomicU32::new(0) })
        }
        None => Cluster::start(),
    });
    if cluster.is_none() {
        assert!(std::env::var_os(REQUIRED).is_none(), "there is no PostgreSQL, and {REQUIRED} is set");
        let skipped = format!("\n***** SKIPPED, because PostgreSQL is not installed: {test} *****\n");
        // past the harness, which shows nothing of tests that pass
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    }
    cluster.as_ref()
}

impl Cluster {
    /// Another one, for a test that stops and starts it.
    pub fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap().keep();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        certify(&folder);
        let owner = if rustix::process::geteuid().is_root() {
            // PostgreSQL refuses to be root
            assert!(Command::new("chown").args(["-R", "postgres"]).arg(&folder).status().unwrap().success());
            "setpriv --reuid=postgres --regid=postgres --init-groups"
        } else {
            ""
        };
        let mut shell = Command::new("sh");
        let shell = shell.arg("-c").arg(SCRIPT).stdin(Stdio::piped()).current_dir(&folder);
        let shell =
            shell.env("DIR", &folder).env("BIN", programs).env("OWNER", owner).env("PORT", port.to_string());
        // the pipe stays open for as long as this process lives
        std::mem::forget(shell.spawn().unwrap());
        let cluster = Self { folder, port, databases: AtomicU32::new(0) };
        let end = Instant::now() + Duration::from_mins(1);
        while !cluster.psql(ROLE, "postgres", "SELECT 1").status().is_ok_and(|status| status.success()) {
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
        // as docs/hosts.md tells operators to
        self.run("postgres", &format!("REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC"));
        self.url(&name)
    }

    /// A database of ours, as `database.url` names it.
    pub fn url(&self, name: &str) -> String {
        format!("postgres:///{name}?host={}&port={}&user={ROLE}", self.folder.display(), self.port)
    }

    /// As the environment of a process names it that runs tests once more.
    pub fn as_variable(&self) -> (&'static str, String) {
        (SOCKET, format!("{}:{}", self.folder.display(), self.port))
    }

    /// Kills the server, as a power cut; it is started again.
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        if let Some(pid) = pid.lines().next() {
            // it may be down already
            let _ = Command::new("kill").args(["-KILL", pid]).stderr(Stdio::null()).status();
        }
    }

    /// Breaks off all connections to a database, as a server that is stopped at once.
    pub fn disconnect(&self, database: &str) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        );
        self.run("postgres", &sql);
    }

    /// Carries out SQL in a database of ours; gives back what it prints.
    pub fn run(&self, database: &str, sql: &str) -> String {
        self.run_as(ROLE, database, sql)
    }

    /// Carries out SQL as another role; gives back what it prints.
    pub fn run_as(&self, role: &str, database: &str, sql: &str) -> String {
        let output = self.psql(role, database, sql).stdout(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn psql(&self, role: &str, database: &str, sql: &str) -> Command {
        let mut command = Command::new("psql");
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            role,
            "-d",
            database,
            "-c",
            sql,
        ]);
        command
            // as docs/hosts.md tells operators to, too
            .env("PGOPTIONS", "-c search_path=brandpost,public")
            .args(["-p", &self.port.to_string(), "-h"])
            .arg(&self.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
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

/// A certificate for `localhost`, and the authority that it is from.
fn certify(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&key).unwrap();
    std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".into()]).unwrap();
    std::fs::write(folder.join("server.pem"), server.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    super::write_private(&folder.join("server.key"), &key.serialize_pem());
}

/// Where the ledger is that a URL of ours names, for the host of this inbox.
pub fn location(url: &str, inbox: &str) -> Location {
    let url = url::Url::parse(url).unwrap();
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    Location::Server(Server {
        host: query["host"].clone(),
        port: query["port"].parse().unwrap(),
        user: query["user"].clone(),
        database: url.path().trim_start_matches('/').to_owned(),
        password: None,
        ca_file: None,
        inbox: inbox.into(),
    })
}
