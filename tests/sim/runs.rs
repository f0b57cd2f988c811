//! Many runs on all cores, and what they did.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::thread::{CpuSet, sched_setaffinity};

use super::pulse::Pulse;
use super::scenario::{Scenario, Setup};
use super::world::{Outcome, World};

#[derive(Debug, Default)]
pub struct Totals {
    pub runs: u32,
    pub faults: u32,
    pub puts: u32,
    pub crashes: u32,
    pub groups: u32,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.join(&Self {
            runs: 1,
            faults: outcome.faults,
            puts: outcome.puts,
            crashes: outcome.crashes,
            groups: outcome.groups,
        });
    }

    fn join(&mut self, other: &Self) {
        self.runs += other.runs;
        self.faults += other.faults;
        self.puts += other.puts;
        self.crashes += other.crashes;
        self.groups += other.groups;
    }
}

/// One run. A panic in it is a violation like any other.
pub fn run(scenario: &Scenario) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| play(scenario))).unwrap_or_else(|panic| Outcome {
        violations: vec![format!("it panicked: {}", message(&*panic))],
        actions: scenario.actions.len(),
        ..Outcome::default()
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}

fn play(scenario: &Scenario) -> Outcome {
    if std::env::var_os("BRANDPOST_VERBOSE").is_some() {
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        let _ = log.with_writer(std::io::stderr).try_init();
    }
    in_world(&scenario.setup, async |world| world.run(scenario).await)
}

/// Has something done in a world whose clocks are moved by hand.
pub fn in_world(setup: &Setup, run: impl AsyncFnOnce(&mut World)) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let pulse = Arc::new(Pulse::default());
        let watching = pulse.watch(setup.seed);
        let mut world = World::new(setup, pulse).await;
        run(&mut world).await;
        let outcome = world.close().await;
        drop(watching);
        outcome
    })
}

/// A run is one task whose statements are carried out by threads of their own, each waiting for the other: on one core they
/// take turns, on two they wake each other, which costs more than the work.
fn stay_on(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    // without the right to it, runs are as good, and slower
    let _ = sched_setaffinity(None, &cores);
}

/// Runs them all. Gives back those that found something.
pub fn run_all(
    count: usize,
    scenario: impl Fn(usize) -> Scenario + Sync,
) -> (Vec<(Scenario, Outcome)>, Totals) {
    let next = AtomicUsize::new(0);
    let work = |core| {
        stay_on(core);
        let (mut bad, mut totals) = (Vec::new(), Totals::default());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return (bad, totals);
            }
            let scenario = scenario(index);
            let outcome = run(&scenario);
            totals.add(&outcome);
            if !outcome.violations.is_empty() {
                bad.push((scenario, outcome));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (mut bad, mut totals) = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|core| scope.spawn(move || work(core))).collect();
        let mut all = (Vec::new(), Totals::default());
        for handle in handles {
            let (bad, totals) = handle.join().unwrap();
            all.0.extend(bad);
            all.1.join(&totals);
        }
        all
    });
    bad.sort_by_key(|(scenario, _): &(Scenario, _)| scenario.setup.seed);
    totals.runs = u32::try_from(count).unwrap();
    (bad, totals)
}
