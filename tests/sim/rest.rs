//! After the chaos: nothing fails any more, and all must come to rest by itself.

use std::time::Duration;

use brandpost::domain::clock::Clock;
use brandpost::ledger::StatusRow;
use sandbox::{Fault, FaultAction};
use tokio::time::Instant;

use super::action::{Command, Delivery};
use super::changes::BRANDS;
use super::daemon::Actor;
use super::faults::StepFaults;
use super::workload::Workload;
use super::world::{Loss, World};

/// How far the clocks go on at a time.
const TICK: Duration = Duration::from_millis(10_007);

/// Longer than a lease, two rescans and the longest backoff.
const AT_LEAST: Duration = Duration::from_mins(4);
const AT_MOST: Duration = Duration::from_hours(1);

/// Of which OSS takes nothing then.
const REFUSED: &str = "OWNBRAND/1";

/// So much longer may it take when one brand is refused.
const REFUSED_AT_MOST: Duration = Duration::from_mins(20);

/// So often in a row must it be found at rest.
const CALM: u32 = 3;

impl World {
    pub async fn come_to_rest(&mut self) {
        self.trace("no more faults");
        self.shares.iter_mut().for_each(Workload::come_to_rest);
        let truth = self.truth.now();
        for host in &mut self.hosts {
            host.wall.set(truth);
            (host.is_suspended, host.is_off) = (false, false);
        }
        if self.setup.brand_is_refused {
            self.one_brand_is_refused().await;
        }
        let (mut calm, began) = (0, Instant::now());
        while calm < CALM && !self.has_failed() {
            self.tick().await;
            calm = if self.is_at_rest().await && began.elapsed() > AT_LEAST { calm + 1 } else { 0 };
            if began.elapsed() > AT_MOST {
                let rows = self.rows().await;
                self.violation(format!("it does not come to rest: {rows:#?}"));
            }
        }
    }

    /// All hosts do what can be done now; then time goes on.
    async fn tick(&mut self) {
        self.start_all().await;
        for at in 0..self.hosts.len() {
            self.at = at;
            if self.host().daemon.is_some() {
                self.hear_of_others();
                if self.loss == Loss::Past {
                    self.begin_operator(Command::RetryHeld, BRANDS[0].parse().unwrap(), 0);
                }
                self.work().await;
                self.end_deposed().await;
            }
        }
        self.advance(TICK).await;
        self.end_deposed().await;
    }

    async fn is_at_rest(&self) -> bool {
        let counts = self.ledger().report().counts(None).await.unwrap();
        let mut is_at_rest = counts.pending() == 0;
        for daemon in self.hosts.iter().filter_map(|host| host.daemon.as_ref()) {
            is_at_rest &= daemon.ledger.rechecks_requested().await.unwrap().is_empty();
        }
        is_at_rest
    }

    /// A cloud that is down for one brand is not down for the others.
    async fn one_brand_is_refused(&mut self) {
        self.trace(format!("OSS takes nothing of {REFUSED}"));
        let action =
            FaultAction::OssError { status: 503, code: "ServiceUnavailable".into(), message: "no".into() };
        self.sandbox.fault(Fault::oss(action).matching(format!("{REFUSED}/")));
        let began = Instant::now();
        let mut waits = true;
        while !self.has_failed() && (waits || began.elapsed() <= AT_LEAST) {
            self.tick().await;
            let rows = self.rows().await;
            waits = rows.iter().any(|row| row.state.is_pending() && !is_refused(row));
            if waits && began.elapsed() > REFUSED_AT_MOST {
                self.violation(format!("it waits for a brand that is refused: {rows:#?}"));
            }
        }
        self.sandbox.clear_faults();
    }

    /// All that can be done now is done.
    pub async fn work(&mut self) {
        loop {
            self.deliver(&[Delivery::Arrives]);
            self.begin_intake();
            if self.daemon().publish_waits <= Instant::now() {
                self.begin_publish();
            }
            let mut count = 0;
            while let Some(which) = self.daemon().actors.iter().position(|actor: &Actor| !actor.is_asleep()) {
                count += 1;
                self.step_one(which, StepFaults::NONE).await;
            }
            if (count <= 2 && !self.is_due()) || self.host().is_deposed || self.has_failed() {
                return;
            }
        }
    }

    fn is_due(&mut self) -> bool {
        let (daemon, now) = (self.daemon(), Instant::now());
        daemon.publish_waits <= now || daemon.intake.as_ref().is_some_and(|intake| intake.next_step() <= now)
    }
}

fn is_refused(row: &StatusRow) -> bool {
    row.brand().to_string() == REFUSED
}
