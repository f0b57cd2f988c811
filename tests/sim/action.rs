//! What may happen next, as data. An action holds all that was drawn for it, so a list of actions is the same run
//! whatever becomes of the generator.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::changes::{self, Change};
use super::faults::{CommitFault, StepFaults, weighted};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// People change the folders.
    Change(Change),
    /// The watcher's events arrive; each has its fate, counted round.
    Deliver(Vec<Delivery>),
    /// One actor, counted round, goes on to where it is held next.
    Step(usize, StepFaults),
    /// All who are about to submit an update do so together: they share a commit, and what becomes of it.
    StepTogether(Option<CommitFault>),
    BeginIntake,
    BeginPublish,
    /// Both clocks go on, in milliseconds.
    Advance(u64),
    /// The machine's clock is set.
    SetClock(WallTime),
    Operate {
        command: Command,
        brand: String,
        slot: u32,
    },
    /// The process dies. So many of the requests that had arrived at OSS are still served.
    Crash {
        served: usize,
    },
    /// The process dies, and the database is gone when it starts again. (On a server it only dies.)
    LoseDatabase,
    /// The process is stopped and started again.
    Restart,
    /// What follows is of another host, counted round.
    Switch(usize),
    /// The process is suspended (SIGSTOP), or goes on. What it has sent arrives all the same.
    Suspend,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    Arrives,
    Lost,
    Late,
    Doubled,
}

/// What the machine's clock is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WallTime {
    Epoch,
    /// A quarter of an hour fast: more than the clouds accept.
    Fast,
    Slow,
    Right,
}

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    RetryRejected,
    RetryBrand,
    Release,
    Reserve,
    /// What is held since the database was rebuilt is sent again.
    RetryHeld,
}

type Draw = fn(&mut Rng) -> Action;

const ACTIONS: [(u32, Draw); 14] = [
    (480, |rng| Action::Step(rng.usize(0..100), StepFaults::draw(rng))),
    (50, |rng| Action::StepTogether(CommitFault::draw(rng))),
    (120, |rng| Action::Change(Change::draw(rng))),
    (60, |rng| Action::Deliver((0..6).map(|_| weighted(rng, &DELIVERIES)).collect())),
    (80, |_| Action::BeginIntake),
    (80, |_| Action::BeginPublish),
    // within a step of retries, within a rescan, beyond everything
    (60, |rng| Action::Advance(rng.u64(1..2000))),
    (30, |rng| Action::Advance(rng.u64(2000..30_000))),
    (10, |rng| Action::Advance(rng.u64(30_000..400_000))),
    (10, |rng| Action::SetClock(weighted(rng, &WALL_TIMES))),
    (10, operate),
    (10, |rng| Action::Crash { served: rng.usize(0..=3) }),
    (1, |_| Action::LoseDatabase),
    (3, |_| Action::Restart),
];

/// So often beside those of a single host.
const ACTIONS_OF_HOSTS: [(u32, Draw); 3] =
    [(1000, Action::draw), (150, |rng| Action::Switch(rng.usize(0..6))), (30, |_| Action::Suspend)];

const DELIVERIES: [(u32, Delivery); 4] =
    [(75, Delivery::Arrives), (8, Delivery::Lost), (12, Delivery::Late), (5, Delivery::Doubled)];

const WALL_TIMES: [(u32, WallTime); 4] =
    [(1, WallTime::Epoch), (1, WallTime::Fast), (1, WallTime::Slow), (2, WallTime::Right)];

const COMMANDS: [(u32, Command); 4] =
    [(1, Command::RetryRejected), (1, Command::RetryBrand), (1, Command::Release), (1, Command::Reserve)];

impl Action {
    pub fn draw(rng: &mut Rng) -> Self {
        weighted(rng, &ACTIONS)(rng)
    }

    pub fn draw_of_hosts(rng: &mut Rng) -> Self {
        weighted(rng, &ACTIONS_OF_HOSTS)(rng)
    }
}

fn operate(rng: &mut Rng) -> Action {
    Action::Operate { command: weighted(rng, &COMMANDS), brand: changes::brand(rng), slot: rng.u32(1..=3) }
}
