//! A run before it is run: how the world is set up, and what happens in it. Its text is one JSON value a line: the setup,
//! then the actions.

use std::fmt;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::mutants::Mutant;

/// So many actions come before the rest.
const ACTIONS: usize = 800;

/// Of so many runs, in one a brand is refused for good before all comes to rest.
const REFUSED: u32 = 3;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// What the program draws (claims, jitter) follows from it.
    pub seed: u64,
    /// The files' own ctime is the machine's. The run is in 2100, when that is long ago, or else in 2020.
    pub late: bool,
    pub check: String,
    pub slots_by: String,
    pub after: String,
    pub max_attempts: u32,
    /// After the chaos OSS takes nothing of one brand at first.
    pub brand_is_refused: bool,
    /// So many daemons share a PostgreSQL server; with one the ledger is an SQLite file. The third stands by for the first.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub hosts: usize,
    /// A mistake that is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutant>,
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_one(hosts: &usize) -> bool {
    *hosts == 1
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    pub setup: Setup,
    pub actions: Vec<Action>,
}

impl Scenario {
    /// The one that this seed stands for.
    pub fn of(seed: u64, mutant: Option<Mutant>) -> Self {
        Self::draw(seed, 1, mutant, Action::draw)
    }

    /// The one that this seed stands for, with two or three daemons on one server.
    pub fn of_hosts(seed: u64) -> Self {
        let hosts = 2 + usize::from(seed.is_multiple_of(2));
        Self::draw(seed, hosts, None, Action::draw_of_hosts)
    }

    fn draw(seed: u64, hosts: usize, mutant: Option<Mutant>, action: fn(&mut Rng) -> Action) -> Self {
        let mut rng = Rng::with_seed(seed);
        let one_of = |rng: &mut Rng, words: &[&str]| words[rng.usize(0..words.len())].to_owned();
        let setup = Setup {
            seed,
            late: rng.bool(),
            check: one_of(&mut rng, &["decode", "structure"]),
            slots_by: one_of(&mut rng, &["arrival", "arrival", "arrival", "arrival", "filename"]),
            after: one_of(&mut rng, &["keep", "keep", "keep", "archive", "delete"]),
            max_attempts: [0, 0, 0, 3][rng.usize(0..4)],
            brand_is_refused: rng.u32(0..REFUSED) == 0,
            hosts,
            mutant,
        };
        Self { setup, actions: (0..ACTIONS).map(|_| action(&mut rng)).collect() }
    }

    pub fn parse(text: &str) -> serde_json::Result<Self> {
        let (setup, actions) = text.split_once('\n').unwrap_or((text, ""));
        Ok(Self {
            setup: serde_json::from_str(setup)?,
            actions: actions.lines().map(serde_json::from_str).collect::<Result<_, _>>()?,
        })
    }

    pub fn with_mutant(&self, mutant: Option<Mutant>) -> Self {
        Self { setup: Setup { mutant, ..self.setup.clone() }, ..self.clone() }
    }

    pub fn with_actions(&self, actions: Vec<Action>) -> Self {
        Self { actions, ..self.clone() }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", serde_json::to_string(&self.setup).map_err(|_| fmt::Error)?)?;
        for action in &self.actions {
            writeln!(f, "{}", serde_json::to_string(action).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}
