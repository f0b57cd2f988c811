//! How the process starts, stops and dies.

use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use brandpost::cloud::Clouds;
use brandpost::domain::upload::State;
use brandpost::intake::Intake;
use brandpost::ledger::{DaemonLock, Host, Ledger, Started};
use brandpost::metrics::Metrics;
use brandpost::publish::Publish;
use futures_util::FutureExt;
use sandbox::{Service, Stage};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::daemon::{Actor, Daemon, OSS_TIMEOUT};
use super::faults::StepFaults;
use super::hold_points::HoldPoint;
use super::scheduler::WRITE_AGAIN;
use super::world::World;

impl World {
    /// As the process does: the lock, the ledger with its recovery, then both reconcilers.
    pub async fn start(&mut self) {
        let (settings, path) = (self.settings.clone(), self.database());
        let lock = take_lock(&path);
        let clouds = Clouds::new(&settings, self.wall.clone()).unwrap();
        let host = Host::new("local".into(), "the daemon".into(), 10);
        let Started { ledger, rebuilt, .. } =
            Ledger::start(&(&path).into(), self.wall.clone(), &lock, &host).await.unwrap();
        if let Some(rebuilt) = rebuilt {
            self.violation(format!("the database of a process that died was given up: {rebuilt}"));
        }
        let ledger = ledger.with_commit_hook(self.hold_points.clone());
        let stop = CancellationToken::new();
        let metrics = Metrics::new(ledger.now());
        let intake = Intake::new(settings.clone(), ledger.clone(), stop.clone(), &metrics);
        let publish = Publish::new(settings, ledger.clone(), clouds, &metrics);
        let sink = Box::new(intake.event_sink());
        self.daemon = Some(Daemon {
            intake: Some(Box::new(intake)),
            publish: Some(Box::new(publish)),
            ledger,
            stop,
            actors: Vec::new(),
            publish_waits: Instant::now(),
            sink,
            _lock: lock,
        });
    }

    /// Everything that is not durable is gone. So many of the requests that had arrived are still served.
    pub async fn crash(&mut self, served: usize) {
        self.outcome.crashes += 1;
        self.trace("crash");
        let actors = std::mem::take(&mut self.daemon().actors);
        let arrived = actors.into_iter().filter(|actor| {
            actor.held_at() == Some(HoldPoint::Cloud(Service::Oss, Stage::Arrived))
                && actor.waited() + Duration::from_millis(5) < OSS_TIMEOUT
        });
        for actor in arrived.take(served) {
            self.serve(actor).await;
        }
        let left = self.copy_database();
        self.end_process().await;
        // closing folds the log into the database and ends it, which a process that dies does not do
        for (copy, file) in left {
            std::fs::rename(copy, file).unwrap();
        }
        self.start().await;
    }

    /// The request goes on to its end at OSS; nobody hears of it.
    async fn serve(&mut self, mut actor: Actor) {
        actor.held.take().into_iter().for_each(|held| held.release(None));
        let points = self.hold_points.clone();
        std::future::poll_fn(|cx| match actor.poll(&points, cx) {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        })
        .await;
        self.count_puts(&mut actor);
    }

    /// The files that a process leaves that dies now: copies, and their names.
    fn copy_database(&self) -> Vec<(PathBuf, PathBuf)> {
        let names = ["brandpost.db", "brandpost.db-wal"].map(|name| self.place.path().join(name));
        let pairs = names.map(|file| (file.with_added_extension("left"), file));
        pairs.into_iter().filter(|(copy, file)| std::fs::copy(file, copy).is_ok()).collect()
    }

    /// The process is asked to stop, which nothing hinders, and is started again.
    pub async fn restart(&mut self) {
        self.trace("restart");
        self.daemon().stop.cancel();
        while !self.daemon().actors.is_empty() {
            self.step_one(0, StepFaults::NONE).await;
            if self.daemon().actors.iter().all(Actor::is_asleep) {
                self.advance(WRITE_AGAIN + Duration::from_millis(1)).await;
            }
        }
        let counts = self.ledger().report().counts(None).await.unwrap();
        // a claim whose commit was in doubt is nobody's; its lease ends it
        if counts.of(State::Uploading) > 0 && self.outcome.faults == 0 {
            self.violation("a stop left an upload half-recorded".into());
        }
        self.end_process().await;
        self.start().await;
    }

    /// As the kernel does: what was not committed is rolled back, and the files are closed.
    async fn end_process(&mut self) {
        let daemon = self.daemon.take().unwrap();
        let ledger = daemon.ledger.clone();
        drop(daemon);
        ledger.close().await;
    }
}

/// A child that another test of this process is about to execute has the lock's descriptor too, for a moment of real time:
/// the paused clock would never come to the next try.
fn take_lock(path: &Path) -> DaemonLock {
    loop {
        match DaemonLock::take(path).now_or_never() {
            Some(lock) => return lock.unwrap(),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}
