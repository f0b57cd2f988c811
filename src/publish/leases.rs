//! The leases of our claims, and those of holders that are gone.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::shared::Shared;
use crate::domain::brand::{BrandId, Claim, ClaimToken};
use crate::ledger::{Ledger, LedgerError};

/// A claim that its holder has not renewed for so long is given back to the queue.
pub(super) const LEASE: Duration = Duration::from_mins(2);

/// The claims of the attempts under way.
#[derive(Debug)]
pub(super) struct Leases {
    claims: HashMap<ClaimToken, BrandId>,
    maintained: Instant,
}

impl Default for Leases {
    fn default() -> Self {
        Self { claims: HashMap::new(), maintained: Instant::now() }
    }
}

impl Leases {
    pub(super) fn add(&mut self, claim: &Claim) {
        self.claims.insert(claim.token, claim.brand_id);
    }

    pub(super) fn remove(&mut self, token: ClaimToken) {
        self.claims.remove(&token);
    }

    pub(super) fn len(&self) -> usize {
        self.claims.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// From time to time, renews ours and takes back those that have expired.
    pub(super) async fn maintain(&mut self, shared: &Shared) -> Result<(), LedgerError> {
        if self.maintained.elapsed() < LEASE / 4 {
            return Ok(());
        }
        self.maintained = Instant::now();
        self.renew(&shared.ledger).await?;
        let expired = shared.ledger.reclaim(false).await?;
        shared.metrics.interrupted(expired);
        Ok(())
    }

    /// Renews ours.
    pub(super) async fn renew(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let claims = self.claims.iter().map(|(token, brand)| (*token, *brand)).collect();
        ledger.extend_leases(claims, LEASE).await
    }
}
