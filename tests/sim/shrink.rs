//! A run that fails, made as short as it gets: what can be left out while it still fails is no cause.

use super::action::Action;
use super::faults::StepFaults;
use super::runs::run;
use super::scenario::Scenario;

/// Gives back a run with fewer actions that fails too. `tries`: so many runs may it take.
pub fn shrink(scenario: &Scenario, tries: u32) -> Scenario {
    let mut shrinking = Shrinking { best: scenario.clone(), tries };
    let failed_at = run(scenario).actions;
    shrinking.attempt(scenario.actions[..failed_at].to_vec());
    let mut length = shrinking.best.actions.len() / 2;
    while length > 0 {
        shrinking.drop_actions(length);
        length /= 2;
    }
    shrinking.drop_faults();
    shrinking.best
}

struct Shrinking {
    best: Scenario,
    tries: u32,
}

impl Shrinking {
    /// Keeps these actions if the run still fails. False when it does not, or no run is left.
    fn attempt(&mut self, actions: Vec<Action>) -> bool {
        let Some(left) = self.tries.checked_sub(1) else { return false };
        self.tries = left;
        let scenario = self.best.with_actions(actions);
        let fails = !run(&scenario).violations.is_empty();
        if fails {
            self.best = scenario;
        }
        fails
    }

    /// Leaves out so many actions at a time, wherever that is possible.
    fn drop_actions(&mut self, length: usize) {
        let mut end = self.best.actions.len();
        while end > 0 {
            let start = end.saturating_sub(length);
            let mut actions = self.best.actions.clone();
            actions.drain(start..end);
            self.attempt(actions);
            end = start;
        }
    }

    fn drop_faults(&mut self) {
        for index in 0..self.best.actions.len() {
            let mut actions = self.best.actions.clone();
            if let Action::Step(_, faults) = &mut actions[index]
                && *faults != StepFaults::NONE
            {
                *faults = StepFaults::NONE;
                self.attempt(actions);
            }
        }
    }
}
