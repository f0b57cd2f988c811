//! The daemon's parts, apart from each other, and those who are at work in it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use brandpost::domain::brand::ClaimToken;
use brandpost::intake::{CompletedScan, Intake, IntakeError};
use brandpost::ledger::{Committer, DaemonLock, Ledger, LedgerError};
use brandpost::publish::{Next, Publish, PublishError};
use sandbox::Service;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hold_points::{Held, HoldPoint, HoldPoints};

pub const GATEWAY_TIMEOUT: Duration = Duration::from_secs(5);
pub const OSS_TIMEOUT: Duration = Duration::from_mins(1);

pub fn timeout(service: Service) -> Duration {
    if service == Service::Oss { OSS_TIMEOUT } else { GATEWAY_TIMEOUT }
}

/// What dies with the process. A reconciler that is at work is in its actor's hands.
pub struct Daemon {
    pub intake: Option<Box<Intake>>,
    pub publish: Option<Box<Publish>>,
    pub ledger: Ledger,
    pub stop: CancellationToken,
    pub actors: Vec<Actor>,
    /// Publish has nothing to do before then.
    pub publish_waits: Instant,
    /// Where events go in.
    pub sink: Box<dyn Fn(notify::Result<notify::Event>) + Send>,
    /// No other daemon works with the database.
    pub _lock: DaemonLock,
}

/// Who is at work. The reconcilers come first: the others hand their results to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Intake,
    Publish,
    Scan,
    Attempt,
    Operator,
}

/// How somebody's work ended.
pub enum Done {
    Intake(Box<Intake>, Result<(), IntakeError>),
    Publish(Box<Publish>, Result<Next, PublishError>),
    Scan(Box<CompletedScan>),
    Attempt(ClaimToken),
    Operator(Result<(), LedgerError>),
}

/// Where a step ends.
pub enum Rest {
    Done(Done),
    Held(Held),
    /// An attempt whose end could not be recorded waits to try again.
    Asleep,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rest::Done(_) => f.write_str("done"),
            Rest::Held(held) => write!(f, "held at {:?}", held.at),
            Rest::Asleep => f.write_str("asleep"),
        }
    }
}

/// Somebody at work.
pub struct Actor {
    pub role: Role,
    future: Pin<Box<dyn Future<Output = Done>>>,
    pub held: Option<Held>,
    pub sleeps_until: Option<Instant>,
    /// When its request was sent.
    pub sent: Option<Instant>,
    /// What OSS has stored for it, and whether all went well since.
    pub stored: Option<(String, String)>,
    pub clean: bool,
}

impl Actor {
    pub fn new(role: Role, future: impl Future<Output = Done> + 'static) -> Self {
        let future = Box::pin(future);
        Self { role, future, held: None, sleeps_until: None, sent: None, stored: None, clean: true }
    }

    /// Since its request was sent.
    pub fn waited(&self) -> Duration {
        self.sent.map_or(Duration::ZERO, |sent| sent.elapsed())
    }

    /// Timers count in whole milliseconds: nobody can tell whether the client gives up right now.
    pub fn is_on_the_verge(&self) -> bool {
        let Some(HoldPoint::Cloud(service, _)) = self.held_at() else { return false };
        self.waited().abs_diff(timeout(service)) < Duration::from_millis(5)
    }

    pub fn is_asleep(&self) -> bool {
        self.sleeps_until.is_some_and(|until| until > Instant::now())
    }

    pub fn held_at(&self) -> Option<HoldPoint> {
        self.held.as_ref().map(|held| held.at)
    }

    /// Is it about to hand an update to the writer task?
    pub fn is_about_to_submit(&self) -> bool {
        self.held_at() == Some(HoldPoint::Write(Committer::Group)) && !self.is_asleep()
    }

    /// Works until it can't go on; gives back where the step ended, if it has.
    pub fn poll(&mut self, points: &HoldPoints, cx: &mut Context<'_>) -> Option<Rest> {
        if let Poll::Ready(done) = self.future.as_mut().poll(cx) {
            return Some(Rest::Done(done));
        }
        let held = points.take_held(cx.waker()).map(Rest::Held);
        held.or_else(|| (self.role == Role::Attempt && points.has_struck()).then_some(Rest::Asleep))
    }
}
