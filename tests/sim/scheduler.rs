//! Who goes on next, and how far: one actor alone, or several whose updates share a commit.

use std::error::Error;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use brandpost::domain::brand::BrandKey;
use brandpost::ledger::{Ledger, LedgerError, RetrySelection};
use brandpost::publish::{Next, PublishError};
use sandbox::{Fault, FaultAction, Service, Stage};
use tokio::time::Instant;

use super::action::Command;
use super::daemon::{Actor, Done, Rest, Role, timeout};
use super::faults::{CommitFault, StepFaults};
use super::hold_points::{Held, HoldPoint, HoldPoints};
use super::world::World;

/// After an attempt could not be written down, it is tried again so much later.
pub const WRITE_AGAIN: Duration = Duration::from_secs(2);

/// Longer than any limit that the program has for something of its own.
const PAST_LIMITS: Duration = Duration::from_secs(31);

impl World {
    pub fn begin_intake(&mut self) {
        if let Some(mut intake) = self.daemon().intake.take() {
            self.add(Role::Intake, async move {
                let result = intake.step().await;
                Done::Intake(intake, result)
            });
        }
    }

    pub fn begin_publish(&mut self) {
        if let Some(mut publish) = self.daemon().publish.take() {
            self.add(Role::Publish, async move {
                let result = publish.step().await;
                Done::Publish(publish, result)
            });
        }
    }

    pub fn begin_operator(&mut self, command: Command, brand: BrandKey, slot: u32) {
        let ledger = self.ledger().clone();
        self.add(Role::Operator, async move { Done::Operator(operate(&ledger, command, brand, slot).await) });
    }

    fn add(&mut self, role: Role, work: impl Future<Output = Done> + 'static) {
        self.daemon().actors.push(Actor::new(role, work));
    }

    /// One of those at work, counted round, goes on to where it is held next.
    pub async fn step_one(&mut self, which: usize, faults: StepFaults) {
        let count = self.daemon().actors.len();
        let Some(which) = which.checked_rem(count) else { return };
        let mut actor = self.daemon().actors.remove(which);
        if actor.is_asleep() {
            self.daemon().actors.push(actor);
            return;
        }
        if actor.is_on_the_verge() {
            self.advance(Duration::from_millis(11)).await;
        }
        let began = Instant::now();
        self.hold_points.begin_step();
        self.release(&mut actor, faults);
        let rest = self.until_rest(&mut actor).await;
        self.come_to(vec![(actor, rest)], began).await;
    }

    /// All go on a step; those who are about to submit an update then do so before the writer task looks, so that it
    /// commits them together.
    pub async fn step_together(&mut self, fault: Option<CommitFault>) {
        for _ in 0..self.daemon().actors.len() {
            self.step_unless(Actor::is_about_to_submit).await;
        }
        let actors = std::mem::take(&mut self.daemon().actors);
        let (mut group, others): (Vec<_>, Vec<_>) = actors.into_iter().partition(Actor::is_about_to_submit);
        self.daemon().actors = others;
        let began = Instant::now();
        self.hold_points.begin_step();
        let faults = StepFaults { commit: fault, ..StepFaults::NONE };
        for actor in &mut group {
            self.release(actor, faults);
        }
        let rests = submit(&mut group, self.hold_points.clone()).await;
        let mut rested = Vec::new();
        for (mut actor, rest) in group.into_iter().zip(rests) {
            let rest = match rest {
                Some(rest) => rest,
                None => self.until_rest(&mut actor).await,
            };
            rested.push((actor, rest));
        }
        self.check_group(rested.len());
        self.come_to(rested, began).await;
    }

    /// The first of those at work goes on, or to the end of the line.
    async fn step_unless(&mut self, is_ready: impl Fn(&Actor) -> bool) {
        match self.daemon().actors.first().map(is_ready) {
            Some(true) => self.daemon().actors.rotate_left(1),
            _ => self.step_one(0, StepFaults::NONE).await,
        }
    }

    fn check_group(&mut self, members: usize) {
        let commits = self.hold_points.commits();
        if commits > 1 {
            self.violation(format!("{members} updates that waited together took {commits} commits"));
        }
        self.outcome.groups += u32::from(members > 1 && commits == 1);
    }

    /// Ends the hold of an actor, with what goes wrong then.
    fn release(&mut self, actor: &mut Actor, faults: StepFaults) {
        actor.sleeps_until = None;
        if self.verbose {
            eprintln!("{:?} goes on from {:?}", actor.role, actor.held_at());
        }
        let Some(held) = actor.held.take() else { return };
        match held.at {
            HoldPoint::Write(_) => {
                if let Some(fault) = faults.commit {
                    self.fault(actor, format!("{:?}: {fault:?}", actor.role));
                }
                held.release(faults.commit);
            }
            HoldPoint::Cloud(service, stage) if actor.waited() >= timeout(service) => {
                // the client gives up; the request is never answered
                self.fault(actor, format!("{service:?} {stage:?} timeout"));
            }
            HoldPoint::Cloud(service, stage) => {
                if stage == Stage::Arrived {
                    self.prepare_fault(actor, service, faults);
                }
                held.release(None);
            }
        }
    }

    fn prepare_fault(&mut self, actor: &mut Actor, service: Service, faults: StepFaults) {
        let fault: Option<(FaultAction, bool)> = match service {
            Service::Oss => faults.oss.map(|fault| (fault.action(), fault.is_fatal())),
            _ => faults.gateway.map(|fault| (fault.action(), fault.is_fatal())),
        };
        let Some((action, is_fatal)) = fault else { return };
        self.fault(actor, format!("{service:?}: {}", action.name()));
        self.may_give_up |= is_fatal;
        self.sandbox.fault(Fault::new(service, action).times(1));
    }

    fn fault(&mut self, actor: &mut Actor, line: String) {
        actor.clean = false;
        self.outcome.faults += 1;
        self.trace(line);
    }

    async fn until_rest(&mut self, actor: &mut Actor) -> Rest {
        let (pulse, points) = (self.pulse.clone(), self.hold_points.clone());
        pulse.beat();
        loop {
            let rest = std::future::poll_fn(|cx| match actor.poll(&points, cx) {
                Some(rest) => Poll::Ready(rest),
                None => Poll::Pending,
            });
            tokio::select! {
                biased;
                rest = rest => return rest,
                () = pulse.until_stalled() => self.advance(PAST_LIMITS).await,
            }
        }
    }

    /// These have come to rest.
    async fn come_to(&mut self, rested: Vec<(Actor, Rest)>, began: Instant) {
        let mut ended = Vec::new();
        for (mut actor, rest) in rested {
            if self.verbose {
                eprintln!("  {:?} is {rest:?}", actor.role);
            }
            match rest {
                Rest::Done(done) => {
                    ended.push((actor, done));
                    continue;
                }
                Rest::Held(held) => {
                    self.arrived(&mut actor, &held);
                    actor.held = Some(held);
                }
                Rest::Asleep => actor.sleeps_until = Some(began + WRITE_AGAIN),
            }
            self.daemon().actors.push(actor);
        }
        ended.sort_by_key(|(actor, _)| actor.role);
        for (actor, done) in ended {
            Box::pin(self.ended(actor, done)).await;
        }
    }

    fn arrived(&mut self, actor: &mut Actor, held: &Held) {
        match held.at {
            HoldPoint::Cloud(_, Stage::Arrived) => actor.sent = Some(held.since),
            HoldPoint::Cloud(Service::Oss, Stage::Answering) => self.count_puts(actor),
            _ => {}
        }
    }

    async fn ended(&mut self, actor: Actor, done: Done) {
        match done {
            Done::Intake(mut intake, result) => {
                if let Err(error) = result {
                    self.failed("intake", &error);
                }
                while let Some(scan) = intake.next_scan() {
                    self.add(Role::Scan, async move { Done::Scan(Box::new(scan.await)) });
                }
                self.daemon().intake = Some(intake);
            }
            Done::Publish(publish, next) => {
                self.daemon().publish = Some(publish);
                self.begin_attempts(next);
            }
            Done::Scan(scan) => {
                // handed back when intake is at rest, as its own loop does
                self.finish_step_of(Role::Intake).await;
                let ended = self.daemon().intake.as_mut().unwrap().end(*scan);
                if let Err(error) = ended {
                    self.failed("a scan", &error);
                }
            }
            Done::Attempt(token) => {
                self.finish_step_of(Role::Publish).await;
                self.daemon().publish.as_mut().unwrap().end(token);
                self.daemon().publish_waits = Instant::now();
                self.note_settled(actor).await;
            }
            Done::Operator(Ok(())) => {}
            Done::Operator(Err(error))
                if matches!(
                    error.root(),
                    LedgerError::Refused(_) | LedgerError::Sql(_) | LedgerError::Deposed(_)
                ) => {}
            Done::Operator(Err(error)) => self.violation(format!("an operator's command failed: {error}")),
        }
    }

    /// A task of the daemon ended by an error. Who is deposed ends for no other reason.
    fn failed(&mut self, what: &str, error: &(dyn Error + 'static)) {
        match is_deposed(error) {
            true => self.host().is_deposed = true,
            false => self.violation(format!("{what} ended: {error}: {error:?}")),
        }
    }

    fn begin_attempts(&mut self, next: Result<Next, PublishError>) {
        match next {
            Ok(Next::Attempts(attempts)) => {
                for attempt in attempts {
                    self.add(Role::Attempt, async move { Done::Attempt(attempt.await) });
                }
                self.daemon().publish_waits = Instant::now();
            }
            Ok(Next::Wait(until)) => self.daemon().publish_waits = until,
            Err(error) => self.failed("publish", &error),
        }
    }

    async fn finish_step_of(&mut self, role: Role) {
        while let Some(which) = self.daemon().actors.iter().position(|actor| actor.role == role) {
            self.step_one(which, StepFaults::NONE).await;
        }
    }
}

fn is_deposed(error: &(dyn Error + 'static)) -> bool {
    let ours = error.downcast_ref().is_some_and(LedgerError::is_deposed);
    ours || error.source().is_some_and(is_deposed)
}

/// Each of a group works until it has handed in its update. Gives back where the step of those ended who did not come so far.
async fn submit(group: &mut [Actor], points: Arc<HoldPoints>) -> Vec<Option<Rest>> {
    std::future::poll_fn(|cx| Poll::Ready(group.iter_mut().map(|actor| actor.poll(&points, cx)).collect()))
        .await
}

async fn operate(ledger: &Ledger, command: Command, brand: BrandKey, slot: u32) -> Result<(), LedgerError> {
    let row = ledger.report().brand(brand).await?.map(|(row, _)| row);
    match (command, row) {
        (Command::RetryHeld, _) => ledger.retry(&RetrySelection::Held).await.map(drop),
        (Command::RetryRejected, _) => ledger.retry(&RetrySelection::Rejected).await.map(drop),
        (Command::RetryBrand, Some(row)) => ledger.retry(&RetrySelection::Brand(row)).await.map(drop),
        (Command::Release, Some(row)) => ledger.release(row, &[slot]).await,
        (Command::Reserve, Some(row)) => ledger.reserve(row, &[slot]).await.map(drop),
        // nothing is known of the brand yet
        (_, None) => Ok(()),
    }
}
