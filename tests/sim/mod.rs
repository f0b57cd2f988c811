//! A deterministic simulation: one list of actions, one run. A seed stands for a list.
//!
//! `just simulate 5000` runs as many seeds as asked; one that fails is shrunk and written to a file. `just replay 17`, or
//! `just replay FILE`, runs one again and prints its trace.

mod action;
mod changes;
mod contents;
mod daemon;
mod faults;
mod hold_points;
mod host;
mod lifecycle;
mod mutants;
mod oracle;
mod pulse;
mod rest;
mod runs;
mod scenario;
mod scheduler;
mod server;
mod shrink;
mod suspended;
mod workload;
mod world;

use std::fs;
use std::path::{Path, PathBuf};

use mutants::MUTANTS;
use runs::{Totals, run, run_all};
use scenario::{Scenario, Setup};
use shrink::shrink;
use world::Outcome;

use crate::support::postgres::cluster;

/// How many seeds an ordinary test run tries.
const SEEDS: u64 = 100;

/// As many with several hosts.
const HOST_SEEDS: u64 = 12;

/// Within so many seeds each mutant is found.
const MUTANT_SEEDS: u64 = 24;

/// So many runs may it take to make one that failed shorter.
const SHRINK_TRIES: u32 = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs that found something once, as lists of actions. One with a mutant finds nothing without it.
fn recorded() -> Vec<(PathBuf, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/simulation");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

fn read(path: &Path) -> Scenario {
    Scenario::parse(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Keeps a run that failed, made shorter.
fn record(scenario: &Scenario) -> PathBuf {
    let Setup { seed, mutant, .. } = &scenario.setup;
    let what = mutant.map_or_else(|| "failed".to_owned(), |mutant| format!("{mutant:?}"));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{what}-{seed}.jsonl"));
    // that it fails is known already, should it hang while it is made shorter
    fs::write(&path, scenario.to_string()).unwrap();
    fs::write(&path, shrink(scenario, SHRINK_TRIES).to_string()).unwrap();
    path
}

#[test]
fn nothing_is_lost_doubled_or_torn() {
    let first = number("BRANDPOST_FIRST_SEED").unwrap_or(1);
    let count = usize::try_from(number("BRANDPOST_SEEDS").unwrap_or(SEEDS)).unwrap();
    let totals = clean(run_all(count, |index| Scenario::of(first + index as u64, None)));
    let Totals { runs, puts, faults, groups, .. } = totals;
    assert!(puts.min(faults).min(groups) > 4 * runs, "it did too little: {totals:?}");
}

/// Nothing was found.
fn clean((bad, totals): (Vec<(Scenario, Outcome)>, Totals)) -> Totals {
    println!("{totals:?}; found by {:?}", bad.iter().map(|(run, _)| run.setup.seed).collect::<Vec<_>>());
    for (scenario, outcome) in bad.iter().take(5) {
        println!("seed {}: {}", scenario.setup.seed, outcome.violations.join("\n"));
    }
    if let Some((scenario, _)) = bad.first() {
        panic!("replay one: just replay {}", record(scenario).display());
    }
    totals
}

/// The same with two and three daemons on one PostgreSQL server, one of which stands by.
#[test]
fn nothing_is_lost_doubled_or_torn_by_several_hosts() {
    if cluster("simulation::nothing_is_lost_doubled_or_torn_by_several_hosts").is_none() {
        return;
    }
    let first = number("BRANDPOST_FIRST_SEED").unwrap_or(1);
    let count = usize::try_from(number("BRANDPOST_HOST_SEEDS").unwrap_or(HOST_SEEDS)).unwrap();
    let totals = clean(run_all(count, |index| Scenario::of_hosts(first + index as u64)));
    let Totals { runs, puts, faults, crashes, .. } = totals;
    assert!(puts.min(faults) > 4 * runs && crashes > 2 * runs, "it did too little: {totals:?}");
}

/// The second time from its own record: nothing that matters is missing there.
#[test]
fn a_run_is_replayed_from_its_record() {
    let asked = std::env::var("BRANDPOST_RUN").ok();
    let scenario = match asked.as_ref().map(|asked| asked.parse()) {
        None => Scenario::of(7, None),
        Some(Ok(seed)) => Scenario::of(seed, None),
        Some(Err(_)) => read(Path::new(asked.as_ref().unwrap())),
    };
    let record = Scenario::parse(&scenario.to_string()).unwrap();
    assert_eq!(record, scenario);
    let (first, second) = (run(&scenario), run(&record));
    if asked.is_some() {
        println!("{}", first.trace.join("\n"));
    }
    assert_eq!(first.trace, second.trace);
    assert_eq!(first.violations, Vec::<String>::new());
}

#[test]
fn recorded_runs_are_clean_and_find_their_mutants() {
    let recorded = recorded();
    assert!(!recorded.is_empty());
    for (path, scenario) in recorded {
        let clean = run(&scenario.with_mutant(None));
        assert_eq!(clean.violations, Vec::<String>::new(), "just replay {}", path.display());
        if let Some(mutant) = scenario.setup.mutant {
            assert!(!run(&scenario).violations.is_empty(), "{mutant:?} is not found by {}", path.display());
        }
    }
}

/// With `BRANDPOST_RECORD`, the runs that find them are kept, as those in `tests/fixtures/simulation` were. The seed that
/// found it then is tried first.
#[test]
fn each_mutant_is_found() {
    let recorded = recorded();
    for mutant in MUTANTS {
        let of_mutant = recorded.iter().filter(|(_, scenario)| scenario.setup.mutant == Some(mutant));
        let seeds = of_mutant.map(|(_, scenario)| scenario.setup.seed).chain(1..=MUTANT_SEEDS);
        let mut scenarios = seeds.map(|seed| Scenario::of(seed, Some(mutant)));
        let found = scenarios.find(|scenario| !run(scenario).violations.is_empty());
        let found = found.unwrap_or_else(|| panic!("{mutant:?} was not found"));
        if std::env::var_os("BRANDPOST_RECORD").is_some() {
            println!("{}", record(&found).display());
        }
    }
}
