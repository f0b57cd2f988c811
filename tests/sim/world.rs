//! One run: the daemon's reconcilers, stepped by hand and interleaved where their work becomes durable,
//! while files change, clouds refuse, the disk fails, the clocks jump and the process dies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brandpost::config::Settings;
use brandpost::domain::clock::{Clock, ManualClock};
use brandpost::ledger::{Filter, Ledger, StatusRow};
use jiff::{SignedDuration, Timestamp};
use sandbox::{Sandbox, SandboxOptions};
use tempfile::TempDir;

use crate::support::write_private;

use super::action::{Action, Command, Delivery, WallTime};
use super::daemon::Daemon;
use super::hold_points::HoldPoints;
use super::pulse::Pulse;
use super::scenario::{Scenario, Setup};
use super::workload::Workload;

/// When the run is: the files' own ctime is the machine's, long before or long after.
const IN_2100: i64 = 4_102_444_800;
const IN_2020: i64 = 1_590_969_600;

/// What came of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    pub violations: Vec<String>,
    pub trace: Vec<String>,
    /// So many actions were taken; fewer than there are when one of them broke a promise.
    pub actions: usize,
    pub faults: u32,
    pub puts: u32,
    pub crashes: u32,
    /// Commits that several actors shared.
    pub groups: u32,
}

pub struct World {
    pub setup: Setup,
    pub place: TempDir,
    pub settings: Arc<Settings>,
    pub hold_points: Arc<HoldPoints>,
    pub pulse: Arc<Pulse>,
    /// The time that is, and the one that the machine shows.
    pub truth: Arc<ManualClock>,
    pub wall: Arc<ManualClock>,
    pub sandbox: Sandbox,
    pub workload: Workload,
    pub daemon: Option<Daemon>,
    pub puts_seen: BTreeMap<String, u32>,
    /// What was sent to a key, acknowledged and written down.
    pub settled: BTreeMap<String, String>,
    pub sent: BTreeSet<(String, String)>,
    /// A fault after which a file may be given up.
    pub may_give_up: bool,
    pub slots_released: bool,
    /// The trace is printed as it comes: for runs that hang.
    pub verbose: bool,
    pub outcome: Outcome,
}

impl World {
    pub async fn new(setup: &Setup, pulse: Arc<Pulse>) -> Self {
        // claims and jitter are drawn from it
        fastrand::seed(setup.seed);
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let start = Timestamp::from_second(if setup.late { IN_2100 } else { IN_2020 }).unwrap();
        let (truth, wall) = (Arc::new(ManualClock::new(start)), Arc::new(ManualClock::new(start)));
        let hold_points = Arc::new(HoldPoints::default());
        let time = truth.clone();
        let options = SandboxOptions {
            request_hook: Some(hold_points.request_hook()),
            time: Arc::new(move || time.now()),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let settings = configure(place.path(), setup, sandbox.addr().port());
        let mut world = Self {
            setup: setup.clone(),
            workload: Workload::new(place.path()),
            place,
            settings,
            hold_points,
            pulse,
            truth,
            wall,
            sandbox,
            daemon: None,
            puts_seen: BTreeMap::new(),
            settled: BTreeMap::new(),
            sent: BTreeSet::new(),
            may_give_up: false,
            slots_released: false,
            verbose: std::env::var_os("BRANDPOST_VERBOSE").is_some(),
            outcome: Outcome::default(),
        };
        world.start().await;
        if let Some(mutant) = setup.mutant {
            mutant.build_in(&world.database()).await;
        }
        world
    }

    /// The actions, then rest.
    pub async fn run(&mut self, scenario: &Scenario) {
        self.trace(format!("{:?}", scenario.setup));
        for action in &scenario.actions {
            self.outcome.actions += 1;
            self.take(action).await;
            if self.has_failed() {
                return;
            }
        }
        self.come_to_rest().await;
        if !self.has_failed() {
            self.check().await;
        }
    }

    async fn take(&mut self, action: &Action) {
        match action {
            Action::Change(change) => {
                let line = self.workload.apply(change, self.wall.now().as_second());
                self.trace(line);
                self.forget_settled_where_touched();
            }
            Action::Deliver(fates) => self.deliver(fates),
            Action::Step(which, faults) => self.step_one(*which, *faults).await,
            Action::StepTogether(fault) => self.step_together(*fault).await,
            Action::BeginIntake => self.begin_intake(),
            Action::BeginPublish => self.begin_publish(),
            Action::Advance(millis) => self.advance(Duration::from_millis(*millis)).await,
            Action::SetClock(to) => self.set_clock(*to),
            Action::Operate { command, brand, slot } => self.operate(*command, brand, *slot),
            Action::Crash { served } => self.crash(*served).await,
            Action::Restart => self.restart().await,
        }
    }

    /// A watcher's events: some are lost, doubled or late.
    pub fn deliver(&mut self, fates: &[Delivery]) {
        let events = std::mem::take(&mut self.workload.events);
        for (event, fate) in events.into_iter().zip(fates.iter().cycle()) {
            match fate {
                Delivery::Arrives => (self.daemon().sink)(Ok(event)),
                Delivery::Lost => self.trace("event lost"),
                Delivery::Late => self.workload.events.push(event),
                Delivery::Doubled => {
                    (self.daemon().sink)(Ok(event.clone()));
                    (self.daemon().sink)(Ok(event));
                }
            }
        }
    }

    pub async fn advance(&mut self, by: Duration) {
        self.truth.advance(by);
        self.wall.advance(by);
        tokio::time::advance(by).await;
    }

    fn set_clock(&mut self, to: WallTime) {
        let (now, minutes) = (self.truth.now(), SignedDuration::from_mins(16));
        let to = match to {
            WallTime::Epoch => Timestamp::UNIX_EPOCH,
            WallTime::Fast => now.saturating_add(minutes).unwrap(),
            WallTime::Slow => now.saturating_sub(minutes).unwrap(),
            WallTime::Right => now,
        };
        self.wall.set(to);
        self.outcome.faults += 1;
        self.trace(format!("the clock shows {to}"));
    }

    fn operate(&mut self, command: Command, brand: &str, slot: u32) {
        self.slots_released |= command == Command::Release;
        match command {
            Command::RetryRejected => self.settled.clear(),
            Command::RetryBrand | Command::Release => self.forget_settled(brand),
            Command::Reserve => {}
        }
        self.trace(format!("operator {command:?} {brand} {slot}"));
        self.begin_operator(command, brand.parse().unwrap(), slot);
    }

    pub fn database(&self) -> PathBuf {
        self.place.path().join("brandpost.db")
    }

    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().unwrap()
    }

    pub fn ledger(&self) -> &Ledger {
        &self.daemon.as_ref().unwrap().ledger
    }

    pub async fn rows(&self) -> Vec<StatusRow> {
        self.ledger().report().uploads(&Filter::default()).await.unwrap()
    }

    pub fn trace(&mut self, line: impl AsRef<str>) {
        let time = self.truth.now().as_millisecond() % 1_000_000_000;
        let line = line.as_ref().replace(&self.place.path().display().to_string(), "");
        if self.verbose {
            eprintln!("{time:>9} {line}");
        }
        self.outcome.trace.push(format!("{time:>9} {line}"));
    }

    pub fn violation(&mut self, line: String) {
        self.trace(format!("VIOLATION {line}"));
        self.outcome.violations.push(line);
    }

    pub fn has_failed(&self) -> bool {
        !self.outcome.violations.is_empty()
    }

    /// Releases everything.
    pub async fn close(mut self) -> Outcome {
        self.hold_points.open();
        let daemon = self.daemon.take().unwrap();
        let ledger = daemon.ledger.clone();
        drop(daemon);
        ledger.close().await;
        self.sandbox.stop().await;
        self.outcome
    }
}

fn configure(place: &Path, setup: &Setup, port: u16) -> Arc<Settings> {
    let Setup { check, slots_by, after, max_attempts, .. } = setup;
    let host = "iotx-industry.oss-cn-hangzhou.aliyuncs.com";
    let text = format!(
        "[gateway]\nurl = \"http://api.link.aliyun.com\"\napp_id = \"a1B2c3D4\"\napp_key = \"30001234\"\n\
         app_secret_file = \"secret\"\n[network.resolve]\n\"api.link.aliyun.com\" = \"127.0.0.1:{port}\"\n\
         \"{host}\" = \"127.0.0.1:{port}\"\n[oss]\nhttps = \"allow\"\n\
         [limits]\nconcurrency = 3\nuploads_per_second = 0\ngateway_per_second = 0\n\
         [retry]\nfirst_delay = \"2s\"\nmax_delay = \"20s\"\nmax_attempts = {max_attempts}\n\
         [images]\nmax_per_brand = 3\ncheck = \"{check}\"\n[slots]\nby = \"{slots_by}\"\n[upload]\nafter = \"{after}\"\n\
         [watch]\nmode = \"poll\"\npoll_interval = \"40s\"\nrescan = \"60s\"\nsettle = \"1s\"\ngrace = \"5s\"\n"
    );
    let path = place.join("config.toml");
    std::fs::write(&path, text).unwrap();
    write_private(&place.join("secret"), "sandbox-app-secret\n");
    Arc::new(Settings::load(&path).unwrap())
}
