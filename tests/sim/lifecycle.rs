//! How the process starts, stops and dies.

use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use brandpost::cloud::Clouds;
use brandpost::domain::clock::Clock;
use brandpost::domain::upload::State;
use brandpost::intake::Intake;
use brandpost::ledger::{self, DaemonLock, Ledger, LedgerError, Started};
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
use super::world::{Loss, World};

impl World {
    /// On each host whose daemon is down, and whose machine is not, it is tried to start it.
    pub async fn start_all(&mut self) {
        let at = self.at;
        for which in 0..self.hosts.len() {
            self.at = which;
            if self.host().daemon.is_none() && !self.host().is_off {
                self.start().await;
            }
        }
        self.at = at;
    }

    /// As the process does: the lock, the ledger with its recovery, then both reconcilers. While another daemon keeps the
    /// inbox, it does not start.
    pub async fn start(&mut self) {
        let (settings, wall, location) =
            (self.host().settings.clone(), self.host().wall.clone(), self.location());
        let lock = take_lock(&self.database());
        let clouds = Clouds::new(&settings, wall.clone()).unwrap();
        let host = ledger::Host::new(self.host().inbox.clone(), format!("daemon {}", self.at), 3);
        let Started { ledger, rebuilt, .. } = match Ledger::start(&location, wall, &lock, &host).await {
            Err(LedgerError::Kept { .. }) => return,
            started => started.unwrap(),
        };
        self.trace(format!("daemon {} starts", self.at));
        let is_lost = self.loss == Loss::Now;
        if is_lost {
            self.loss = Loss::Past;
        }
        if rebuilt.is_some() != is_lost {
            self.violation(format!("the database of a process that died was rebuilt: {rebuilt:?}"));
        }
        let ledger = ledger.with_commit_hook(self.hold_points.clone());
        let stop = CancellationToken::new();
        let metrics = Metrics::new(ledger.now());
        let intake = Intake::new(settings.clone(), ledger.clone(), stop.clone(), &metrics);
        let publish = Publish::new(settings, ledger.clone(), clouds, &metrics);
        let sink = Box::new(intake.event_sink());
        self.host().daemon = Some(Daemon {
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
        if self.host().daemon.is_none() {
            return;
        }
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
        self.die().await;
        if self.server.is_some() {
            // a standby has its chance
            self.host().is_off = served.is_multiple_of(2);
        } else {
            self.start().await;
        }
    }

    /// Nobody knows any more what was sent.
    pub async fn lose_database(&mut self) {
        if self.server.is_some() {
            return self.crash(0).await;
        }
        self.outcome.crashes += 1;
        self.trace("the database is lost");
        self.die().await;
        for end in ["", "-wal", "-shm"] {
            // whichever there are
            let _ = std::fs::remove_file(self.database().with_file_name(format!("brandpost.db{end}")));
        }
        self.settled.clear();
        self.loss = Loss::Now;
        self.start().await;
        self.build_mutant_in().await;
    }

    /// Nothing is closed, and no lease given up.
    async fn die(&mut self) {
        self.host().is_suspended = false;
        if self.server.is_some() {
            self.host().daemon = None;
            return;
        }
        let left = self.copy_database();
        self.end_process().await;
        // closing folds the log into the database and ends it, which a process that dies does not do
        for (copy, file) in left {
            std::fs::rename(copy, file).unwrap();
        }
    }

    /// The process is suspended, or goes on.
    pub async fn suspend_or_resume(&mut self) {
        let is_sent = |actor: &Actor| actor.held_at() == Some(HoldPoint::Cloud(Service::Oss, Stage::Arrived));
        if self.host().is_at_work() {
            // what it has sent is on its way
            while let Some(which) = self.daemon().actors.iter().position(is_sent) {
                self.step_one(which, StepFaults::NONE).await;
            }
            self.trace(format!("daemon {} is suspended", self.at));
            self.host().is_suspended = true;
        } else if self.host().is_suspended {
            self.trace(format!("daemon {} goes on", self.at));
            self.host().is_suspended = false;
        }
    }

    /// Of all processes that are not suspended.
    pub async fn renew_leases(&mut self) {
        let Some(server) = &mut self.server else { return };
        server.set_time(self.truth.now()).await;
        for host in &mut self.hosts {
            if let (Some(daemon), false) = (&host.daemon, host.is_suspended) {
                host.is_deposed |= daemon.ledger.renew_lease().await.is_err();
            }
        }
    }

    /// A process that keeps its inbox no more breaks off what is under way. It may stand by.
    pub async fn end_deposed(&mut self) {
        let at = self.at;
        for which in 0..self.hosts.len() {
            self.at = which;
            if std::mem::take(&mut self.host().is_deposed) {
                self.trace(format!("daemon {which} is deposed"));
                self.die().await;
            }
        }
        self.at = at;
    }

    /// The request goes on to its end at OSS; nobody hears of it.
    async fn serve(&mut self, mut actor: Actor) {
        let points = self.hold_points.clone();
        // or a fault of the step before would count as its own
        points.begin_step();
        actor.held.take().into_iter().for_each(|held| held.release(None));
        std::future::poll_fn(|cx| match actor.poll(&points, cx) {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        })
        .await;
        self.count_puts(&mut actor);
    }

    /// The files that a process leaves that dies now: copies, and their names.
    fn copy_database(&self) -> Vec<(PathBuf, PathBuf)> {
        let names = ["brandpost.db", "brandpost.db-wal"].map(|name| self.database().with_file_name(name));
        let pairs = names.map(|file| (file.with_added_extension("left"), file));
        pairs.into_iter().filter(|(copy, file)| std::fs::copy(file, copy).is_ok()).collect()
    }

    /// The process is asked to stop, which nothing hinders, and is started again.
    pub async fn restart(&mut self) {
        (self.host().is_suspended, self.host().is_off) = (false, false);
        if self.host().daemon.is_none() {
            return self.start().await;
        }
        self.trace("restart");
        self.daemon().stop.cancel();
        while !self.daemon().actors.is_empty() && !self.host().is_deposed {
            self.step_one(0, StepFaults::NONE).await;
            if self.daemon().actors.iter().all(Actor::is_asleep) {
                self.advance(WRITE_AGAIN + Duration::from_millis(1)).await;
            }
        }
        if self.host().is_deposed {
            return;
        }
        let counts = self.ledger().report().counts(None).await.unwrap();
        // a claim whose commit was in doubt is nobody's; its lease ends it
        if counts.of(State::Uploading) > 0 && self.outcome.faults == 0 && self.server.is_none() {
            self.violation("a stop left an upload half-recorded".into());
        }
        self.end_process().await;
        self.start().await;
    }

    /// As the kernel does: what was not committed is rolled back, and the files are closed.
    async fn end_process(&mut self) {
        let daemon = self.host().daemon.take().unwrap();
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
