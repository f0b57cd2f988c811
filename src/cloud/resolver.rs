//! Names become addresses as the system says, but for those at which a cloud hands out the credentials of this machine.

use std::error::Error;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::address::is_for_the_machine_alone;

/// Asks the system.
#[derive(Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move { addresses(name.as_str()).await })
    }
}

async fn addresses(name: &str) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    let all = tokio::net::lookup_host((name, 0)).await?;
    let (refused, good): (Vec<SocketAddr>, Vec<_>) =
        all.partition(|address| is_for_the_machine_alone(address.ip()));
    match (good.is_empty(), refused.first()) {
        (true, Some(address)) => Err(format!(
            "its address is {}, where clouds keep the credentials of machines: nothing is sent there",
            address.ip()
        )
        .into()),
        _ => Ok(Box::new(good.into_iter())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_metadata_leads_nowhere() {
        // the system takes an address for a name of itself
        for name in ["169.254.169.254", "100.100.100.200"] {
            let error = addresses(name).await.err().unwrap().to_string();
            assert!(error.starts_with(&format!("its address is {name}")), "{error}");
        }
        assert!(addresses("localhost").await.unwrap().all(|address| address.ip().is_loopback()));
    }
}
