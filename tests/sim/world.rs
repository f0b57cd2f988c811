//! One run: the daemon's reconcilers, stepped by hand and interleaved where their work becomes durable,
//! while files change, clouds refuse, the disk fails, the clocks jump and the process dies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use brandpost::cloud::Clouds;
use brandpost::config::Settings;
use brandpost::domain::brand::ClaimToken;
use brandpost::domain::clock::{Clock, ManualClock};
use brandpost::intake::{CompletedScan, Intake, IntakeError};
use brandpost::ledger::{Filter, Ledger, LedgerError, RetrySelection, StatusRow};
use brandpost::metrics::Metrics;
use brandpost::publish::{Next, Publish, PublishError};
use brandpost::sim::{Fault, FaultAction, Sandbox, SandboxOptions, Service, Stage};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::write_private;

use super::hub::{At, Held, Hub, Pulse, Verdict};
use super::shelf::{BRANDS, Shelf};

/// After an attempt could not be written down, it is tried again so much later.
const WRITE_AGAIN: Duration = Duration::from_secs(2);
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(5);
const OSS_TIMEOUT: Duration = Duration::from_mins(1);

/// A mistake that is built in, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    None,
    /// A slot is given back when its file was uploaded.
    SlotFreedTwice,
    /// An uploaded file is queued once more.
    SentTwice,
    /// A file that waits is taken for deleted, and its row for ended.
    Forgotten,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    pub violations: Vec<String>,
    pub trace: Vec<String>,
    pub faults: u32,
    pub puts: u32,
    pub crashes: u32,
}

enum Done {
    Intake(Box<Intake>, Result<(), IntakeError>),
    Publish(Box<Publish>, Result<Next, PublishError>),
    Look(Box<CompletedScan>),
    Attempt(ClaimToken),
    Operator(Result<(), LedgerError>),
}

/// Somebody at work.
struct Actor {
    name: &'static str,
    future: Pin<Box<dyn Future<Output = Done>>>,
    held: Option<Held>,
    sleeps_until: Option<Instant>,
    /// When its request was sent.
    sent: Option<Instant>,
    /// What OSS has stored for it, and whether all went well since.
    stored: Option<(String, String)>,
    clean: bool,
}

fn timeout(service: Service) -> Duration {
    if service == Service::Oss { OSS_TIMEOUT } else { GATEWAY_TIMEOUT }
}

impl Actor {
    /// Since its request was sent.
    fn waited(&self) -> Duration {
        self.sent.map_or(Duration::ZERO, |sent| sent.elapsed())
    }

    /// Timers count in whole milliseconds: nobody can tell whether the client gives up right now.
    fn is_on_the_verge(&self) -> bool {
        let Some(At::Cloud(service, _)) = self.held.as_ref().map(|held| held.at) else { return false };
        self.waited().abs_diff(timeout(service)) < Duration::from_millis(5)
    }
}

struct Daemon {
    intake: Option<Box<Intake>>,
    publish: Option<Box<Publish>>,
    ledger: Ledger,
    stop: CancellationToken,
    actors: Vec<Actor>,
    /// Publish has nothing to do before then.
    publish_waits: Instant,
    /// Where events go in.
    sink: Box<dyn Fn(notify::Result<notify::Event>) + Send>,
}

#[allow(clippy::struct_excessive_bools, reason = "each is something that has happened")]
pub struct World {
    rng: Rng,
    place: TempDir,
    hub: Arc<Hub>,
    pulse: Arc<Pulse>,
    /// The time that is, and the one that the machine shows.
    truth: Arc<ManualClock>,
    wall: Arc<ManualClock>,
    sandbox: Sandbox,
    pub shelf: Shelf,
    daemon: Option<Daemon>,
    puts_seen: BTreeMap<String, u32>,
    /// What was sent to a key, acknowledged and written down.
    settled: BTreeMap<String, String>,
    pub sent: BTreeSet<(String, String)>,
    pub gave_up: bool,
    pub released: bool,
    quiet: bool,
    /// The trace is printed as it comes: for runs that hang.
    aloud: bool,
    pub outcome: Outcome,
}

impl World {
    pub async fn new(seed: u64, plant: Plant, pulse: Arc<Pulse>) -> Self {
        // claims and jitter are drawn from it
        fastrand::seed(seed);
        let mut rng = Rng::with_seed(seed);
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        // the files' own ctime is the machine's: always long ago, or always in the future
        let start = if rng.bool() { 4_102_444_800 } else { 1_590_969_600 };
        let start = Timestamp::from_second(start).unwrap();
        let (truth, wall) = (Arc::new(ManualClock::new(start)), Arc::new(ManualClock::new(start)));
        let hub = Arc::new(Hub::default());
        let time = truth.clone();
        let options = SandboxOptions {
            gate: Some(hub.gate()),
            time: Arc::new(move || time.now()),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let shelf = Shelf::new(place.path());
        let mut world = Self {
            rng,
            place,
            hub,
            pulse,
            truth,
            wall,
            sandbox,
            shelf,
            daemon: None,
            puts_seen: BTreeMap::new(),
            settled: BTreeMap::new(),
            sent: BTreeSet::new(),
            gave_up: false,
            released: false,
            quiet: false,
            aloud: std::env::var_os("BRANDPOST_ALOUD").is_some(),
            outcome: Outcome::default(),
        };
        world.configure();
        world.start().await;
        world.plant(plant).await;
        world
    }

    fn configure(&mut self) {
        let port = self.sandbox.addr().port();
        let check = if self.rng.bool() { "decode" } else { "structure" };
        let by = if self.rng.u32(0..5) == 0 { "filename" } else { "arrival" };
        let after = *self.rng.choice(&["keep", "keep", "keep", "archive", "delete"]).unwrap();
        let attempts = *self.rng.choice(&[0, 0, 0, 3]).unwrap();
        let host = "iotx-industry.oss-cn-hangzhou.aliyuncs.com";
        let text = format!(
            "[gateway]\nurl = \"http://api.link.aliyun.com\"\napp_id = \"a1B2c3D4\"\napp_key = \"30001234\"\n\
             app_secret_file = \"secret\"\n[network.resolve]\n\"api.link.aliyun.com\" = \"127.0.0.1:{port}\"\n\
             \"{host}\" = \"127.0.0.1:{port}\"\n[oss]\nhttps = \"allow\"\n\
             [limits]\nconcurrency = 3\nuploads_per_second = 0\ngateway_per_second = 0\n\
             [retry]\nfirst_delay = \"2s\"\nmax_delay = \"20s\"\nmax_attempts = {attempts}\n\
             [images]\nmax_per_brand = 3\ncheck = \"{check}\"\n[slots]\nby = \"{by}\"\n[upload]\nafter = \"{after}\"\n\
             [watch]\nmode = \"poll\"\npoll_interval = \"40s\"\nrescan = \"60s\"\nsettle = \"1s\"\ngrace = \"5s\"\n"
        );
        std::fs::write(self.place.path().join("config.toml"), text).unwrap();
        write_private(&self.place.path().join("secret"), "sandbox-app-secret\n");
        self.trace(format!("check {check}, slots by {by}, after {after}, attempts {attempts}"));
    }

    pub fn database(&self) -> PathBuf {
        self.place.path().join("brandpost.db")
    }

    pub fn settings(&self) -> Settings {
        Settings::load(&self.place.path().join("config.toml")).unwrap()
    }

    fn trace(&mut self, line: impl AsRef<str>) {
        let time = self.truth.now().as_millisecond() % 1_000_000_000;
        let line = line.as_ref().replace(&self.place.path().display().to_string(), "");
        if self.aloud {
            eprintln!("{time:>9} {line}");
        }
        self.outcome.trace.push(format!("{time:>9} {line}"));
    }

    pub fn violation(&mut self, line: String) {
        self.trace(format!("VIOLATION {line}"));
        self.outcome.violations.push(line);
    }

    /// As the process does at its start.
    async fn start(&mut self) {
        let settings = Arc::new(self.settings());
        let clouds = Clouds::new(&settings, self.wall.clone()).unwrap();
        let ledger = Ledger::open(&self.database(), self.wall.clone()).await.unwrap();
        if let Err(error) = ledger.reclaim(true).await {
            self.violation(format!("the start failed: {error}"));
        }
        let ledger = ledger.with_commit_hook(self.hub.clone());
        let stop = CancellationToken::new();
        let intake = Intake::new(settings.clone(), ledger.clone(), stop.clone(), &Metrics::new(ledger.now()));
        let publish = Publish::new(settings, ledger.clone(), clouds, &Metrics::new(ledger.now()));
        let sink = Box::new(intake.event_sink());
        self.daemon = Some(Daemon {
            intake: Some(Box::new(intake)),
            publish: Some(Box::new(publish)),
            ledger,
            stop,
            actors: Vec::new(),
            publish_waits: Instant::now(),
            sink,
        });
    }

    fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().unwrap()
    }

    /// Chaos, then rest.
    pub async fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            self.chaos().await;
            if !self.outcome.violations.is_empty() {
                return;
            }
        }
        self.heal().await;
    }

    async fn chaos(&mut self) {
        match self.rng.u32(0..100) {
            0..12 => {
                let wall = self.wall.now().as_second();
                let line = self.shelf.act(&mut self.rng, wall);
                self.trace(line);
                for brand in std::mem::take(&mut self.shelf.stirred) {
                    self.settled.retain(|key, _| !key.contains(&format!("/{brand}/")));
                }
            }
            12..18 => self.deliver(),
            18..70 => self.hop().await,
            70..78 => self.begin_intake(),
            78..86 => self.begin_publish(),
            86..92 => {
                let millis = self.rng.u64(1..2000);
                self.advance(Duration::from_millis(millis)).await;
            }
            92..95 => {
                let millis = self.rng.u64(2000..30_000);
                self.advance(Duration::from_millis(millis)).await;
            }
            95 => {
                let millis = self.rng.u64(30_000..400_000);
                self.advance(Duration::from_millis(millis)).await;
            }
            96 => self.jump(),
            97 => self.operator(),
            98 => self.crash().await,
            _ if self.rng.u32(0..4) == 0 => self.stop_softly().await,
            _ => self.hop().await,
        }
    }

    /// A watcher's news: some are lost, doubled or late.
    fn deliver(&mut self) {
        let news = std::mem::take(&mut self.shelf.news);
        for event in news {
            match self.rng.u32(0..100) {
                0..8 => self.trace("event lost"),
                8..20 => self.shelf.news.push(event),
                20..25 => {
                    (self.daemon().sink)(Ok(event.clone()));
                    (self.daemon().sink)(Ok(event));
                }
                _ => (self.daemon().sink)(Ok(event)),
            }
        }
    }

    async fn advance(&mut self, by: Duration) {
        self.truth.advance(by);
        self.wall.advance(by);
        tokio::time::advance(by).await;
    }

    fn jump(&mut self) {
        let minutes = SignedDuration::from_mins(16);
        let to = match self.rng.u32(0..5) {
            0 => Timestamp::UNIX_EPOCH,
            1 => self.truth.now().saturating_add(minutes).unwrap(),
            2 => self.truth.now().saturating_sub(minutes).unwrap(),
            _ => self.truth.now(),
        };
        self.wall.set(to);
        self.outcome.faults += 1;
        self.trace(format!("the clock shows {to}"));
    }

    fn begin_intake(&mut self) {
        let daemon = self.daemon();
        if let Some(mut intake) = daemon.intake.take() {
            let future = async move {
                let result = intake.step().await;
                Done::Intake(intake, result)
            };
            self.add("intake", Box::pin(future));
        }
    }

    fn begin_publish(&mut self) {
        let daemon = self.daemon();
        if let Some(mut publish) = daemon.publish.take() {
            let future = async move {
                let result = publish.step().await;
                Done::Publish(publish, result)
            };
            self.add("publish", Box::pin(future));
        }
    }

    fn operator(&mut self) {
        let ledger = self.daemon().ledger.clone();
        let brand = *self.rng.choice(&BRANDS).unwrap();
        let (what, slot) = (self.rng.u32(0..4), self.rng.u32(1..=3));
        self.released |= what == 2;
        self.settled.retain(|key, _| !key.contains(&format!("/{brand}/")) || what == 3);
        if what == 0 {
            self.settled.clear();
        }
        self.trace(format!("operator {what} {brand} {slot}"));
        let future = async move {
            let Ok(Some((row, _))) = ledger.report().brand(brand.parse().unwrap()).await else {
                return Done::Operator(Ok(()));
            };
            Done::Operator(match what {
                0 => ledger.retry(&RetrySelection::Rejected).await.map(drop),
                1 => ledger.retry(&RetrySelection::Brand(row)).await.map(drop),
                2 => ledger.release(row, &[slot]).await,
                _ => ledger.reserve(row, &[slot]).await,
            })
        };
        self.add("operator", Box::pin(future));
    }

    fn add(&mut self, name: &'static str, future: Pin<Box<dyn Future<Output = Done>>>) {
        let actor =
            Actor { name, future, held: None, sleeps_until: None, sent: None, stored: None, clean: true };
        self.daemon().actors.push(actor);
    }

    /// Somebody at work goes on to where he is held next.
    async fn hop(&mut self) {
        let count = self.daemon().actors.len();
        if count > 0 {
            let which = self.rng.usize(0..count);
            self.drive(which).await;
        }
    }

    #[expect(clippy::too_many_lines, reason = "one step, start to end")]
    async fn drive(&mut self, which: usize) {
        let now = Instant::now();
        let mut actor = self.daemon().actors.remove(which);
        if actor.sleeps_until.is_some_and(|until| until > now) {
            self.daemon().actors.push(actor);
            return;
        }
        if actor.is_on_the_verge() {
            self.advance(Duration::from_millis(11)).await;
        }
        actor.sleeps_until = None;
        if self.aloud {
            eprintln!("{} goes on from {:?}", actor.name, actor.held.as_ref().map(|held| held.at));
        }
        self.let_go(&mut actor);
        let hub = self.hub.clone();
        let attempt = actor.name == "attempt";
        let (mut done, mut slept) = (None, false);
        let pulse = self.pulse.clone();
        pulse.beat();
        let mut held = std::pin::pin!(std::future::poll_fn(|cx| {
            if let Poll::Ready(end) = actor.future.as_mut().poll(cx) {
                done = Some(end);
                return Poll::Ready(None);
            }
            if let Some(held) = hub.take_held(cx.waker()) {
                return Poll::Ready(Some(held));
            }
            if attempt && hub.take_struck() {
                slept = true;
                return Poll::Ready(None);
            }
            Poll::Pending
        }));
        let held: Option<Held> = loop {
            tokio::select! {
                biased;
                held = &mut held => break held,
                // a limit of the program's own, of the pool of connections for one, is waited for
                () = pulse.until_stalled() => self.advance(Duration::from_secs(31)).await,
            }
        };
        hub.take_struck();
        if self.aloud {
            eprintln!(
                "  {} is at {:?}, done {}, slept {slept}",
                actor.name,
                held.as_ref().map(|held| held.at),
                done.is_some()
            );
        }
        if let Some(done) = done {
            self.ended(actor, done).await;
            return;
        }
        if slept {
            actor.sleeps_until = Some(now + WRITE_AGAIN);
        }
        if let Some(held) = &held {
            self.arrived(&mut actor, held);
        }
        actor.held = held;
        self.daemon().actors.push(actor);
    }

    fn let_go(&mut self, actor: &mut Actor) {
        let Some(held) = actor.held.take() else { return };
        match held.at {
            At::Write => {
                let verdict = self.verdict();
                if verdict != Verdict::Go {
                    actor.clean = false;
                    self.outcome.faults += 1;
                    self.trace(format!("{}: {verdict:?}", actor.name));
                }
                let _ = held.go.send(verdict);
            }
            At::Cloud(service, stage) => {
                if actor.waited() >= timeout(service) {
                    // the client gives up; the request is never answered
                    actor.clean = false;
                    self.outcome.faults += 1;
                    self.trace(format!("{service:?} {stage:?} timeout"));
                    return;
                }
                if stage == Stage::Arrived {
                    self.arm(actor, service);
                }
                let _ = held.go.send(Verdict::Go);
            }
        }
    }

    fn verdict(&mut self) -> Verdict {
        match self.rng.u32(0..100) {
            _ if self.quiet => Verdict::Go,
            0..3 => Verdict::Locked,
            3..6 => Verdict::Full,
            6..8 => Verdict::Doubtful,
            _ => Verdict::Go,
        }
    }

    /// Something goes wrong with this request, perhaps.
    fn arm(&mut self, actor: &mut Actor, service: Service) {
        if self.quiet || self.rng.u32(0..100) >= 25 {
            return;
        }
        let (action, fatal) = fault(&mut self.rng, service);
        self.trace(format!("{service:?}: {}", action.name()));
        self.outcome.faults += 1;
        self.gave_up |= fatal;
        actor.clean = false;
        self.sandbox.fault(Fault::new(service, action).times(1));
    }

    fn arrived(&mut self, actor: &mut Actor, held: &Held) {
        let At::Cloud(service, stage) = held.at else { return };
        if stage == Stage::Arrived {
            actor.sent = Some(held.since);
            return;
        }
        if service == Service::Oss {
            self.count_puts(actor);
        }
    }

    /// What OSS has stored since the last time; only one request can have done it.
    fn count_puts(&mut self, actor: &mut Actor) {
        for (key, object) in self.sandbox.objects() {
            let seen = self.puts_seen.insert(key.clone(), object.puts).unwrap_or_default();
            if seen == object.puts {
                continue;
            }
            self.outcome.puts += 1;
            self.trace(format!("stored {key} {}", &object.sha256_hex[..6]));
            if self.settled.get(&key) == Some(&object.sha256_hex) {
                self.violation(format!("{key} was sent twice"));
            }
            self.settled.remove(&key);
            self.sent.insert((key.clone(), object.sha256_hex.clone()));
            actor.stored = Some((key, object.sha256_hex));
            actor.clean = true;
        }
    }

    async fn ended(&mut self, actor: Actor, done: Done) {
        match done {
            Done::Intake(mut intake, result) => {
                if let Err(error) = result {
                    self.violation(format!("intake ended: {error}: {error:?}"));
                }
                while let Some(look) = intake.next_scan() {
                    self.add("look", Box::pin(async move { Done::Look(Box::new(look.await)) }));
                }
                self.daemon().intake = Some(intake);
            }
            Done::Publish(publish, result) => {
                match result {
                    Ok(Next::Attempts(attempts)) => {
                        for attempt in attempts {
                            self.add("attempt", Box::pin(async move { Done::Attempt(attempt.await) }));
                        }
                        self.daemon().publish_waits = Instant::now();
                    }
                    Ok(Next::Wait(until)) => self.daemon().publish_waits = until,
                    Err(error) => self.violation(format!("publish ended: {error}: {error:?}")),
                }
                self.daemon().publish = Some(publish);
            }
            Done::Look(looked) => {
                // handed back when intake is at rest, as its own loop does
                self.finish_step("intake").await;
                let ended = self.daemon().intake.as_mut().unwrap().end(*looked);
                if let Err(error) = ended {
                    self.violation(format!("a look failed: {error}: {error:?}"));
                }
            }
            Done::Attempt(token) => {
                self.finish_step("publish").await;
                self.daemon().publish.as_mut().unwrap().end(token);
                self.daemon().publish_waits = Instant::now();
                self.settle(actor).await;
            }
            Done::Operator(Ok(())) => {}
            Done::Operator(Err(error))
                if matches!(error.root(), LedgerError::Refused(_) | LedgerError::Sql(_)) => {}
            Done::Operator(Err(error)) => self.violation(format!("an operator's command failed: {error}")),
        }
    }

    async fn finish_step(&mut self, name: &str) {
        while let Some(which) = self.daemon().actors.iter().position(|actor| actor.name == name) {
            Box::pin(self.drive(which)).await;
        }
    }

    /// An upload that was acknowledged and written down is not to be sent again.
    async fn settle(&mut self, actor: Actor) {
        let Some((key, sha256)) = actor.stored.filter(|_| actor.clean) else { return };
        for row in self.rows().await {
            if row.sha256.as_ref() != Some(&sha256)
                || row.object_url.as_ref().is_none_or(|url| !url.ends_with(&key))
            {
                continue;
            }
            // not the row's state: a mistake may have changed it since
            let attempts = self.ledger().report().attempts(row.id).await.unwrap();
            if attempts
                .last()
                .is_some_and(|attempt| attempt.outcome.is_some_and(|outcome| outcome.as_str() == "uploaded"))
            {
                self.settled.insert(key.clone(), sha256.clone());
            }
        }
    }

    pub async fn rows(&self) -> Vec<StatusRow> {
        let ledger = &self.daemon.as_ref().unwrap().ledger;
        ledger.report().uploads(&Filter::default()).await.unwrap()
    }

    pub fn ledger(&self) -> &Ledger {
        &self.daemon.as_ref().unwrap().ledger
    }

    pub fn object_sha256(&self, key: &str) -> Option<String> {
        self.sandbox.objects().get(key).map(|object| object.sha256_hex.clone())
    }

    /// Everything that is not durable is gone. A request that had arrived may still be served.
    async fn crash(&mut self) {
        self.outcome.crashes += 1;
        self.trace("crash");
        let mut daemon = self.daemon.take().unwrap();
        for mut actor in std::mem::take(&mut daemon.actors) {
            let arrived =
                actor.held.as_ref().is_some_and(|held| held.at == At::Cloud(Service::Oss, Stage::Arrived));
            if arrived && self.rng.bool() && actor.waited() + Duration::from_millis(5) < OSS_TIMEOUT {
                let _ = actor.held.take().unwrap().go.send(Verdict::Go);
                let hub = self.hub.clone();
                std::future::poll_fn(|cx| match hub.take_held(cx.waker()) {
                    Some(_) => Poll::Ready(()),
                    None => actor.future.as_mut().poll(cx).map(drop),
                })
                .await;
                self.count_puts(&mut actor);
            }
        }
        let ledger = daemon.ledger.clone();
        drop(daemon);
        // as the kernel does: what was not committed is rolled back, and the files are closed
        ledger.close().await;
        self.start().await;
    }

    async fn stop_softly(&mut self) {
        self.trace("soft stop");
        let quiet = std::mem::replace(&mut self.quiet, true);
        self.daemon().stop.cancel();
        while !self.daemon().actors.is_empty() {
            self.drive(0).await;
            if self.daemon().actors.iter().all(|actor| actor.sleeps_until.is_some()) {
                self.advance(Duration::from_millis(2001)).await;
            }
        }
        self.quiet = quiet;
        let daemon = self.daemon.take().unwrap();
        let counts = daemon.ledger.report().counts(None).await.unwrap();
        // a claim whose commit was in doubt is nobody's; its lease ends it
        if counts.of(brandpost::domain::upload::State::Uploading) > 0 && self.outcome.faults == 0 {
            self.violation("a soft stop left an upload half-recorded".into());
        }
        let ledger = daemon.ledger.clone();
        drop(daemon);
        ledger.close().await;
        self.start().await;
    }

    /// No more faults. All must come to rest by itself.
    async fn heal(&mut self) {
        self.trace("heal");
        self.quiet = true;
        self.shelf.come_to_rest();
        let truth = self.truth.now();
        self.wall.set(truth);
        if self.rng.u32(0..3) == 0 {
            self.one_brand_is_refused().await;
        }
        // longer than a lease, two rescans and the longest backoff
        let (mut calm, began) = (0, Instant::now());
        while calm < 3 {
            self.work().await;
            if !self.outcome.violations.is_empty() {
                return;
            }
            if began.elapsed() > Duration::from_hours(1) {
                let rows = self.rows().await;
                self.violation(format!("it does not come to rest: {rows:#?}"));
                return;
            }
            self.advance(Duration::from_millis(5003)).await;
            let counts = self.ledger().report().counts(None).await.unwrap();
            let at_rest =
                counts.pending() == 0 && self.ledger().rechecks_requested().await.unwrap().is_empty();
            calm = if at_rest && began.elapsed() > Duration::from_mins(4) { calm + 1 } else { 0 };
        }
    }

    /// A cloud that is down for one brand is not down for the others.
    async fn one_brand_is_refused(&mut self) {
        self.trace("OSS takes nothing of OWNBRAND/1");
        let action =
            FaultAction::OssError { status: 503, code: "ServiceUnavailable".into(), message: "no".into() };
        self.sandbox.fault(Fault::oss(action).matching("OWNBRAND/1/"));
        let began = Instant::now();
        loop {
            self.work().await;
            self.advance(Duration::from_millis(5003)).await;
            let rows = self.rows().await;
            let others = |row: &&StatusRow| {
                let own = row.brand().to_string() == "OWNBRAND/1";
                !own && ["queued", "uploading", "retrying"].contains(&row.state.as_str())
            };
            let waits = rows.iter().find(others);
            if !self.outcome.violations.is_empty()
                || (waits.is_none() && began.elapsed() > Duration::from_mins(4))
            {
                break;
            }
            if began.elapsed() > Duration::from_mins(20) {
                let text = format!("it waits for a brand that is refused: {waits:#?}");
                self.violation(text);
                break;
            }
        }
        self.sandbox.clear_faults();
    }

    /// All that can be done now is done.
    async fn work(&mut self) {
        loop {
            self.deliver();
            if self.daemon().intake.is_some() {
                self.begin_intake();
            }
            if self.daemon().publish_waits <= Instant::now() {
                self.begin_publish();
            }
            let awake = |actor: &Actor| actor.sleeps_until.is_none_or(|until| until <= Instant::now());
            let mut count = 0;
            while let Some(which) = self.daemon().actors.iter().position(awake) {
                count += 1;
                self.drive(which).await;
            }
            let due = self.daemon().publish_waits <= Instant::now()
                || self.daemon().intake.as_ref().is_some_and(|intake| intake.next_step() <= Instant::now());
            if (count <= 2 && !due) || !self.outcome.violations.is_empty() {
                return;
            }
        }
    }

    /// Lets go of everything.
    pub async fn close(mut self) -> Outcome {
        self.hub.open(true);
        let daemon = self.daemon.take().unwrap();
        let ledger = daemon.ledger.clone();
        drop(daemon);
        ledger.close().await;
        self.sandbox.stop().await;
        self.outcome
    }

    async fn plant(&mut self, plant: Plant) {
        let sql = match plant {
            Plant::None => return,
            Plant::SlotFreedTwice => {
                "CREATE TRIGGER planted AFTER UPDATE OF state ON upload WHEN new.state = 'uploaded'
                 BEGIN UPDATE upload SET slot = NULL WHERE id = new.id; END"
            }
            Plant::SentTwice => {
                "CREATE TRIGGER planted AFTER UPDATE OF state ON upload WHEN new.state = 'uploaded' AND new.tries = 1
                 BEGIN UPDATE upload SET state = 'queued', next_attempt_at = new.updated_at, turn = 0 WHERE id = new.id; END"
            }
            Plant::Forgotten => {
                "CREATE TRIGGER planted AFTER UPDATE OF state ON upload WHEN new.state = 'retrying' AND new.tries = 1
                 BEGIN UPDATE upload SET state = 'failed', next_attempt_at = NULL, turn = NULL WHERE id = new.id; END"
            }
        };
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.database());
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        pool.close().await;
    }
}

/// One fault of each class; true when the file may end as `failed` by it.
fn fault(rng: &mut Rng, service: Service) -> (FaultAction, bool) {
    let oss = |status, code: &str| FaultAction::OssError { status, code: code.into(), message: "no".into() };
    let code = |code| FaultAction::Code { code, message: None, localized: None };
    let ca =
        |status, code: &str| FaultAction::CaError { status, error_code: code.into(), message: "no".into() };
    let raw = |status| FaultAction::Status { status, headers: BTreeMap::new(), body: "<html>".into() };
    if service == Service::Oss {
        return match rng.u32(0..14) {
            0 => (oss(503, "ServiceUnavailable"), false),
            1 => (oss(500, "InternalError"), false),
            2 => (oss(503, "SlowDown"), false),
            3 => (oss(403, "SecurityTokenExpired"), false),
            4 => (oss(403, "RequestTimeTooSkewed"), false),
            5 => (oss(403, "AccessDenied"), true),
            6 => (oss(400, "RequestTimeout"), true),
            7 => (FaultAction::Reset, false),
            8..11 => (FaultAction::ResetAfterStore, false),
            11..13 => (FaultAction::WrongCrc, false),
            _ => (raw(502), false),
        };
    }
    match rng.u32(0..10) {
        0 => (code(500), false),
        1 => (code(460), true),
        2 => (code(429), true),
        3 => (ca(403, "S403TE"), false),
        4 => (ca(429, "T429UT"), true),
        5 => (ca(403, "A403IS"), false),
        6 => (FaultAction::Reset, false),
        7 => (FaultAction::ExpiredToken, false),
        8 => (FaultAction::BadExpiration { value: "yesterday".into() }, true),
        _ => (raw(503), false),
    }
}
