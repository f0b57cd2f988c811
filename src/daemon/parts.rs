//! The running parts: none may end before it is told to.

use anyhow::Context;
use tokio::task::JoinSet;

use super::lifecycle::Orders;

/// The running parts.
#[derive(Default)]
pub(super) struct Parts(JoinSet<(&'static str, anyhow::Result<()>)>);

impl Parts {
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        part: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.0.spawn(async move { (name, part.await) });
    }

    /// A part that has nothing to finish when it is time to stop.
    pub(super) fn spawn_helper(
        &mut self,
        name: &'static str,
        orders: &Orders,
        part: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let stop = orders.soft.clone();
        self.spawn(name, async move {
            tokio::select! {
                result = part => result,
                () = stop.cancelled() => Ok(()),
            }
        });
    }

    /// Resolves when a part ends, which none should.
    pub(super) async fn first_end(&mut self) -> anyhow::Error {
        match self.0.join_next().await {
            Some(Ok((name, Ok(())))) => anyhow::anyhow!("{name} ended without being told to"),
            Some(Ok((name, Err(error)))) => error.context(format!("{name} failed")),
            Some(Err(error)) => anyhow::Error::new(error).context("a part of the daemon broke off"),
            None => anyhow::anyhow!("nothing runs"),
        }
    }

    pub(super) async fn all_end(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.0.join_next().await {
            let (name, result) = ended.context("a part of the daemon broke off")?;
            result.with_context(|| format!("{name} failed"))?;
        }
        Ok(())
    }
}
