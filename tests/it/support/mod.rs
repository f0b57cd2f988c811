//! A bench for the daemon: a temporary folder, the sandbox on a port of its own, the real daemon.

pub mod pictures;
pub mod postgres;
pub mod process;
pub mod source;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brandpost::config::Settings;
use brandpost::daemon::lifecycle::ShutdownSignals;
use brandpost::daemon::{self, Progress, Untaken, Until};
use brandpost::domain::clock::{Clock, SystemClock};
use brandpost::domain::upload::State;
use brandpost::ledger::{Counts, Filter, Ledger, Location, Report, StatusRow};
use sandbox::{RequestLog, Sandbox, SandboxOptions, Service};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);

pub const OWN: &str = "OWNBRAND/1001";
pub const OTHER: &str = "OTHERBRAND/2002";

pub struct Bench {
    pub folder: TempDir,
    pub sandbox: Sandbox,
    pub clock: Arc<dyn Clock>,
    /// PostgreSQL, in place of a file.
    pub server: Option<String>,
    /// The cloud of another bench, in place of its own.
    cloud: Option<std::net::SocketAddr>,
    daemon: Option<Running>,
}

struct Running {
    stop: ShutdownSignals,
    progress: Progress,
    task: JoinHandle<anyhow::Result<Untaken>>,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with("").await
    }

    /// A bench whose config.toml has these sections too.
    pub async fn with(extra: &str) -> Self {
        Self::build(SandboxOptions::default(), extra).await
    }

    pub async fn build(options: SandboxOptions, extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(options).await.unwrap();
        fs::create_dir_all(folder.path().join("inbox")).unwrap();
        write_private(&folder.path().join("secret"), "sandbox-app-secret\n");
        let server = postgres::is_engine().then(|| postgres::cluster("it is there").unwrap().database());
        let bench = Self { folder, sandbox, clock: Arc::new(SystemClock), server, cloud: None, daemon: None };
        bench.configure(extra);
        bench
    }

    /// A bench of this one's cloud and server, as another host has it: with an inbox of its own.
    pub async fn another_host(&self, inbox: &str) -> Self {
        let mut other = Self::new().await;
        (other.server, other.cloud) = (self.server.clone(), Some(self.sandbox.addr()));
        other.configure(&in_inbox(inbox));
        other
    }

    /// Quick retries and no pace, so that tests wait for nothing they do not test.
    pub fn configure(&self, extra: &str) {
        let port = self.cloud.unwrap_or(self.sandbox.addr()).port();
        let mut text = format!(
            "[gateway]\nurl = \"http://api.link.aliyun.com\"\napp_id = \"a1B2c3D4\"\napp_key = \"30001234\"\n\
             app_secret_file = \"secret\"\n[network.resolve]\n\"api.link.aliyun.com\" = \"127.0.0.1:{port}\"\n\
             \"iotx-industry.oss-cn-hangzhou.aliyuncs.com\" = \"127.0.0.1:{port}\"\n"
        );
        for (section, keys) in [
            ("oss", "https = \"allow\"\n"),
            ("limits", "uploads_per_second = 0\ngateway_per_second = 0\n"),
            ("retry", "first_delay = \"20ms\"\nmax_delay = \"100ms\"\n"),
            ("watch", "settle = \"100ms\"\ngrace = \"300ms\"\n"),
        ] {
            if !extra.contains(&format!("[{section}]")) {
                text = format!("{text}[{section}]\n{keys}");
            }
        }
        let mut text = text + extra;
        if let Some(url) = &self.server {
            let (url, section) = (format!("url = \"{url}\"\n"), "[database]\n");
            text = match text.contains(section) {
                true => text.replace(section, &format!("{section}{url}")),
                false => format!("{text}\n{section}{url}"),
            };
        }
        // other users may look at it, unless a webhook stands in it
        fs::write(self.config(), text).unwrap();
        let mode = if extra.contains("[alerts]") { 0o600 } else { 0o644 };
        fs::set_permissions(self.config(), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("brandpost.db")
    }

    /// As the configuration names it.
    fn inbox(&self) -> String {
        let text = fs::read_to_string(self.config()).unwrap();
        let named = text.lines().find_map(|line| line.strip_prefix("inbox = \"")?.strip_suffix('"'));
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        named.map_or_else(host, str::to_owned)
    }

    /// Where the ledger is, in a file or on a server.
    pub fn location(&self) -> Location {
        match &self.server {
            None => Location::File(self.database()),
            Some(url) => postgres::location(url, &self.inbox()),
        }
    }

    pub fn brand(&self, brand: &str) -> PathBuf {
        let path = self.folder.path().join("inbox").join(brand);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Puts a whole file into a brand's folder at once, by renaming.
    pub fn drop_file(&self, brand: &str, name: impl AsRef<OsStr>, bytes: &[u8]) -> PathBuf {
        let folder = self.brand(brand);
        let hidden = folder.join(".being-copied");
        fs::write(&hidden, bytes).unwrap();
        let path = folder.join(name.as_ref());
        fs::rename(hidden, &path).unwrap();
        path
    }

    pub async fn start(&mut self) {
        self.start_until(Until::Stopped).await;
    }

    async fn start_until(&mut self, until: Until) {
        assert!(self.daemon.is_none(), "one daemon at a time");
        let settings = Settings::load(&self.config()).unwrap();
        let stop = ShutdownSignals::default();
        let (started, progress) = oneshot::channel();
        let (told, clock) = (stop.clone(), self.clock.clone());
        let task = tokio::spawn(async move {
            let started = move |progress| drop(started.send(progress));
            daemon::run(settings, clock, until, told, started).await
        });
        let Ok(progress) = progress.await else {
            panic!("the daemon did not start: {:?}", task.await.unwrap())
        };
        self.daemon = Some(Running { stop, progress, task });
    }

    /// `run --once`.
    pub async fn once(&mut self) -> Untaken {
        self.start_until(Until::Done).await;
        let task = self.daemon.take().unwrap().task;
        tokio::time::timeout(PATIENCE, task).await.expect("--once ends").unwrap().unwrap()
    }

    /// Stops softly. No work may be orphaned.
    pub async fn stop(&mut self) {
        let running = self.daemon.take().expect("a daemon that runs");
        running.stop.soon();
        running.task.await.unwrap().unwrap();
        assert_eq!(self.counts().await.of(State::Uploading), 0, "nothing is left half-recorded");
    }

    /// As `kill -9`: everything is dropped where it stands.
    pub async fn crash(&mut self) {
        let running = self.daemon.take().expect("a daemon that runs");
        running.task.abort();
        let _ = running.task.await;
    }

    /// As SIGHUP.
    pub fn reload(&self) {
        self.daemon.as_ref().expect("a daemon that runs").stop.reload.notify_one();
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> anyhow::Result<Untaken> {
        let running = self.daemon.take().expect("a daemon that runs");
        tokio::time::timeout(PATIENCE, running.task).await.expect("it ends").unwrap()
    }

    pub async fn stop_now(&mut self) {
        let running = self.daemon.take().expect("a daemon that runs");
        running.stop.now();
        running.task.await.unwrap().unwrap();
    }

    pub fn ledger(&self) -> &Ledger {
        &self.daemon.as_ref().expect("a daemon that runs").progress.ledger
    }

    /// Has intake look at a file again.
    pub async fn recheck(&self, name: &str) {
        let row = self.row(name).await;
        let key = format!("{}/{}", row.brand_type, row.brand_id).parse().unwrap();
        let (brand, _) = self.ledger().report().brand(key).await.unwrap().unwrap();
        self.ledger().recheck_requested(brand, row.id).await.unwrap();
    }

    /// As the command line has it, without a daemon.
    pub async fn ledger_of_its_own(&self) -> Ledger {
        Ledger::open(self.location(), self.clock.clone()).await.unwrap()
    }

    /// Where the page is served.
    pub fn http(&self) -> String {
        let address = self.daemon.as_ref().expect("a daemon that runs").progress.http;
        format!("http://{}", address.expect("http.listen is set"))
    }

    /// The token of the page, which the daemon makes when it begins to serve.
    pub fn token(&self) -> String {
        let path = self.folder.path().join("brandpost.db.token");
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            match fs::read_to_string(&path) {
                Ok(token) => return token.trim().to_owned(),
                Err(error) if tokio::time::Instant::now() > end => panic!("{}: {error}", path.display()),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    pub fn intake(&self) -> tokio::sync::watch::Receiver<brandpost::intake::IntakeProgress> {
        self.daemon.as_ref().expect("a daemon that runs").progress.intake.clone()
    }

    pub async fn report(&self) -> Report {
        Report::open(self.location()).await.unwrap()
    }

    pub async fn counts(&self) -> Counts {
        self.report().await.counts(None).await.unwrap()
    }

    /// For a process that may not have made its tables yet.
    pub async fn counts_so_far(&self) -> Counts {
        match Report::open(self.location()).await {
            Ok(report) => report.counts(None).await.unwrap_or_default(),
            Err(_) => Counts::default(),
        }
    }

    /// All rows, in the order of their ids.
    pub async fn rows(&self) -> Vec<StatusRow> {
        let mut rows = self.report().await.uploads(&Filter::default()).await.unwrap();
        rows.sort_by_key(|row| row.id);
        rows
    }

    pub async fn row(&self, name: &str) -> StatusRow {
        let rows = self.rows().await;
        rows.into_iter().find(|row| row.file_name == name).unwrap_or_else(|| panic!("no row for {name}"))
    }

    /// Waits until the table looks like this.
    pub async fn until(&self, what: &str, holds: impl Fn(&[StatusRow]) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            let mut changes = self.ledger().changes();
            loop {
                changes.mark_unchanged();
                if holds(&self.rows().await) {
                    return;
                }
                let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
            }
        });
        assert!(waited.await.is_ok(), "waited in vain for: {what}; the table is {:#?}", self.rows().await);
    }

    /// Waits until a file of this name is in this state.
    pub async fn until_state(&self, name: &str, state: State) -> StatusRow {
        let holds = |rows: &[StatusRow]| rows.iter().any(|row| row.file_name == name && row.state == state);
        self.until(&format!("{name} {state}"), holds).await;
        self.row(name).await
    }

    /// Waits until nothing is pending and intake has looked at everything.
    pub async fn quiet(&self) {
        let mut intake = self.daemon.as_ref().expect("a daemon that runs").progress.intake.clone();
        let idle = |progress: &brandpost::intake::IntakeProgress| {
            progress.scanned && progress.idle && progress.incomplete == 0
        };
        tokio::time::timeout(PATIENCE, intake.wait_for(idle)).await.expect("intake comes to rest").unwrap();
        self.until("nothing pending", |rows| rows.iter().all(|row| !row.state.is_pending())).await;
    }

    /// Makes sure that the watcher has seen everything that was done before: it sees a marker file last.
    pub async fn seen(&self, brand: &str) {
        let name = format!("marker-{}.txt", self.rows().await.len());
        self.drop_file(brand, &name, name.as_bytes());
        self.until_state(&name, State::Rejected).await;
    }

    pub fn puts(&self) -> Vec<RequestLog> {
        self.sandbox.requests().into_iter().filter(|request| request.service == Service::Oss).collect()
    }

    pub fn gateway_calls(&self) -> usize {
        self.sandbox.requests().iter().filter(|request| request.service == Service::Gateway).count()
    }

    pub fn object(&self, key: &str) -> Vec<u8> {
        let object = self.sandbox.object_bytes(key);
        object
            .unwrap_or_else(|| panic!("no object {key}; there are {:?}", self.sandbox.objects().keys()))
            .to_vec()
    }
}

/// Where a test makes a ledger of its own: in this folder, or on the server of the suite.
pub fn new_ledger(folder: &Path) -> Location {
    match postgres::is_engine() {
        true => postgres::location(&postgres::cluster("it is there").unwrap().database(), "hz-1"),
        false => Location::File(folder.join("x.db")),
    }
}

/// Sections that name the inbox.
pub fn in_inbox(inbox: &str) -> String {
    format!("[watch]\ninbox = \"{inbox}\"\nsettle = \"100ms\"\ngrace = \"300ms\"\n")
}

pub fn names_in_state(rows: &[StatusRow], state: State) -> Vec<&str> {
    rows.iter().filter(|row| row.state == state).map(|row| row.file_name.as_str()).collect()
}

/// Writes a file that no other user can read.
pub fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub fn touch(path: &Path) {
    let time = fs::metadata(path).unwrap().modified().unwrap() - Duration::from_mins(1);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}
