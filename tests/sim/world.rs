//! One run: the daemon's reconcilers, stepped by hand and interleaved where their work becomes durable,
//! while files change, clouds refuse, the disk fails, the clocks jump and the process dies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brandpost::config::Settings;
use brandpost::domain::clock::{Clock, ManualClock};
use brandpost::ledger::{Filter, Ledger, Location, StatusRow};
use jiff::{SignedDuration, Timestamp};
use sandbox::{Sandbox, SandboxOptions};
use tempfile::TempDir;

use super::action::{Action, Command, Delivery, WallTime};
use super::daemon::Daemon;
use super::hold_points::HoldPoints;
use super::host::Host;
use super::pulse::Pulse;
use super::scenario::{Scenario, Setup};
use super::server::Server;
use super::workload::Workload;

/// When the run is: the files' own ctime is the machine's, long before or long after.
const IN_2100: i64 = 4_102_444_800;
const IN_2020: i64 = 1_590_969_600;

/// How often a lease is renewed: more rarely than the daemon does, and in time.
const RENEWAL: Duration = Duration::from_secs(9);

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

/// When the database was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    Never,
    /// The next start rebuilds it.
    Now,
    /// An operator has to say what becomes of the files from before.
    Past,
}

pub struct World {
    pub setup: Setup,
    pub place: TempDir,
    pub hosts: Vec<Host>,
    /// The host that is acted on.
    pub at: usize,
    /// What several hosts share.
    pub server: Option<Server>,
    pub hold_points: Arc<HoldPoints>,
    pub pulse: Arc<Pulse>,
    /// The time that is; each host's machine may show another one.
    pub truth: Arc<ManualClock>,
    pub sandbox: Sandbox,
    /// Folders, and what people do there: a host may stand by for the keeper of the same ones.
    pub shares: Vec<Workload>,
    pub puts_seen: BTreeMap<String, u32>,
    /// What was sent to a key, acknowledged and written down.
    pub settled: BTreeMap<String, String>,
    pub sent: BTreeSet<(String, String)>,
    /// A fault after which a file may be given up.
    pub may_give_up: bool,
    pub slots_released: bool,
    pub loss: Loss,
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
        let truth = Arc::new(ManualClock::new(start));
        let hold_points = Arc::new(HoldPoints::default());
        let time = truth.clone();
        let options = SandboxOptions {
            request_hook: Some(hold_points.request_hook()),
            time: Arc::new(move || time.now()),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let port = sandbox.addr().port();
        let hosts: Vec<_> =
            (0..setup.hosts).map(|number| Host::new(place.path(), setup, number, port, start)).collect();
        let shares = hosts
            .iter()
            .enumerate()
            .filter(|(number, host)| host.share == *number)
            .map(|(_, host)| Workload::new(&host.place));
        let server = if setup.hosts > 1 { Some(Server::new(start).await) } else { None };
        let mut world = Self {
            setup: setup.clone(),
            shares: shares.collect(),
            place,
            hosts,
            at: 0,
            server,
            hold_points,
            pulse,
            truth,
            sandbox,
            puts_seen: BTreeMap::new(),
            settled: BTreeMap::new(),
            sent: BTreeSet::new(),
            may_give_up: false,
            slots_released: false,
            loss: Loss::Never,
            verbose: std::env::var_os("BRANDPOST_VERBOSE").is_some(),
            outcome: Outcome::default(),
        };
        world.start_all().await;
        world.build_mutant_in().await;
        world
    }

    pub async fn build_mutant_in(&self) {
        if let Some(mutant) = self.setup.mutant {
            mutant.build_in(&self.database()).await;
        }
    }

    /// The actions, then rest.
    pub async fn run(&mut self, scenario: &Scenario) {
        self.trace(format!("{:?}", scenario.setup));
        for action in &scenario.actions {
            self.outcome.actions += 1;
            self.take(action).await;
            self.end_deposed().await;
            if self.has_failed() {
                return;
            }
        }
        self.come_to_rest().await;
        if !self.has_failed() {
            self.check().await;
        }
    }

    pub async fn take(&mut self, action: &Action) {
        match action {
            Action::Switch(which) => self.at = which % self.hosts.len(),
            Action::Change(change) => {
                let wall = self.host().wall.now().as_second();
                let line = self.workload().apply(change, wall);
                self.trace(line);
                self.forget_settled_where_touched();
            }
            Action::Advance(millis) => {
                self.advance(Duration::from_millis(*millis)).await;
                self.start_all().await;
            }
            Action::SetClock(to) => self.set_clock(*to),
            Action::Suspend => self.suspend_or_resume().await,
            Action::Crash { served } => self.crash(*served).await,
            Action::LoseDatabase => self.lose_database().await,
            Action::Restart => self.restart().await,
            _ if !self.host().is_at_work() => {}
            Action::Deliver(fates) => {
                self.hear_of_others();
                self.deliver(fates);
            }
            Action::Step(which, faults) => self.step_one(*which, *faults).await,
            Action::StepTogether(fault) => self.step_together(*fault).await,
            Action::BeginIntake => self.begin_intake(),
            Action::BeginPublish => self.begin_publish(),
            Action::Operate { command, brand, slot } => self.operate(*command, brand, *slot),
        }
    }

    /// As the server notifies a host.
    pub fn hear_of_others(&self) {
        if self.server.is_some() {
            self.ledger().heard_of_others();
        }
    }

    /// A watcher's events: some are lost, doubled or late.
    pub fn deliver(&mut self, fates: &[Delivery]) {
        let events = std::mem::take(&mut self.workload().events);
        for (event, fate) in events.into_iter().zip(fates.iter().cycle()) {
            match fate {
                Delivery::Arrives => (self.daemon().sink)(Ok(event)),
                Delivery::Lost => self.trace("event lost"),
                Delivery::Late => self.workload().events.push(event),
                Delivery::Doubled => {
                    (self.daemon().sink)(Ok(event.clone()));
                    (self.daemon().sink)(Ok(event));
                }
            }
        }
    }

    /// All clocks go on, and the leases are renewed.
    pub async fn advance(&mut self, by: Duration) {
        let mut left = by;
        while !left.is_zero() {
            let step = if self.server.is_some() { left.min(RENEWAL) } else { left };
            left -= step;
            self.truth.advance(step);
            self.hosts.iter().for_each(|host| host.wall.advance(step));
            tokio::time::advance(step).await;
            self.renew_leases().await;
        }
    }

    fn set_clock(&mut self, to: WallTime) {
        let (now, minutes) = (self.truth.now(), SignedDuration::from_mins(16));
        let to = match to {
            WallTime::Epoch => Timestamp::UNIX_EPOCH,
            WallTime::Fast => now.saturating_add(minutes).unwrap(),
            WallTime::Slow => now.saturating_sub(minutes).unwrap(),
            WallTime::Right => now,
        };
        self.host().wall.set(to);
        self.outcome.faults += 1;
        self.trace(format!("the clock shows {to}"));
    }

    fn operate(&mut self, command: Command, brand: &str, slot: u32) {
        self.slots_released |= command == Command::Release;
        match command {
            Command::RetryRejected => self.settled.clear(),
            Command::RetryBrand | Command::Release => self.forget_settled(brand),
            Command::Reserve | Command::RetryHeld => {}
        }
        self.trace(format!("operator {command:?} {brand} {slot}"));
        self.begin_operator(command, brand.parse().unwrap(), slot);
    }

    /// What all hosts agree on.
    pub fn settings(&self) -> &Settings {
        &self.hosts[0].settings
    }

    pub fn host(&mut self) -> &mut Host {
        &mut self.hosts[self.at]
    }

    /// What the host's folders hold.
    pub fn workload(&mut self) -> &mut Workload {
        &mut self.shares[self.hosts[self.at].share]
    }

    /// The host's file: its lock, and the ledger of one that is alone.
    pub fn database(&self) -> PathBuf {
        self.hosts[self.at].place.join("brandpost.db")
    }

    pub fn location(&self) -> Location {
        match &self.server {
            Some(server) => server.location(&self.hosts[self.at].inbox),
            None => Location::File(self.database()),
        }
    }

    pub fn daemon(&mut self) -> &mut Daemon {
        self.host().daemon.as_mut().unwrap()
    }

    /// The host's, or if its daemon is down any: they read the same rows.
    pub fn ledger(&self) -> &Ledger {
        let ours = self.hosts[self.at].daemon.iter();
        &ours.chain(self.hosts.iter().filter_map(|host| host.daemon.as_ref())).next().unwrap().ledger
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
        for daemon in self.hosts.iter_mut().filter_map(|host| host.daemon.take()) {
            let ledger = daemon.ledger.clone();
            drop(daemon);
            ledger.close().await;
        }
        if let Some(server) = self.server {
            server.end().await;
        }
        self.sandbox.stop().await;
        self.outcome
    }
}
