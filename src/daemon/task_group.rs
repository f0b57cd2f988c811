//! The running tasks: none may end before it is stopped.

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::lifecycle::ShutdownSignals;

/// The running tasks.
#[derive(Default)]
pub(super) struct TaskGroup {
    running: JoinSet<(&'static str, anyhow::Result<()>)>,
    /// So many of them only observe, and end with this token when the others have ended.
    observers: usize,
    last: CancellationToken,
}

impl TaskGroup {
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.running.spawn(async move { (name, task.await) });
    }

    /// A task that has nothing to finish when it is time to stop.
    pub(super) fn spawn_helper(
        &mut self,
        name: &'static str,
        shutdown: &ShutdownSignals,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.spawn(name, until(shutdown.soft.clone(), task));
    }

    /// A task that watches for the soft stop itself, and is ended at once by the hard one.
    pub(super) fn spawn_until_hard(
        &mut self,
        name: &'static str,
        shutdown: &ShutdownSignals,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.spawn(name, until(shutdown.hard.clone(), task));
    }

    /// A task that goes on until all others have ended.
    pub(super) fn spawn_last(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.observers += 1;
        self.spawn(name, until(self.last.clone(), task));
    }

    /// Cancelled when only observers are left.
    pub(super) fn last_token(&self) -> CancellationToken {
        self.last.clone()
    }

    /// Resolves when a task ends, which none should.
    pub(super) async fn first_end(&mut self) -> anyhow::Error {
        match self.running.join_next().await {
            Some(Ok((name, Ok(())))) => anyhow::anyhow!("{name} ended before it was stopped"),
            Some(Ok((name, Err(error)))) => error.context(format!("{name} failed")),
            Some(Err(error)) => anyhow::Error::new(error).context("a task of the daemon broke off"),
            None => anyhow::anyhow!("nothing runs"),
        }
    }

    /// Breaks all off, and waits until they are.
    pub(super) async fn abort(mut self) {
        self.running.shutdown().await;
    }

    pub(super) async fn all_end(&mut self) -> anyhow::Result<()> {
        loop {
            if self.running.len() <= self.observers {
                self.last.cancel();
            }
            let Some(ended) = self.running.join_next().await else { return Ok(()) };
            let (name, result) = ended.context("a task of the daemon broke off")?;
            result.with_context(|| format!("{name} failed"))?;
        }
    }
}

async fn until(
    stop: CancellationToken,
    task: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        result = task => result,
        () = stop.cancelled() => Ok(()),
    }
}
