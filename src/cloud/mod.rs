//! The two clouds: the IoT API gateway, which hands out temporary credentials, and OSS, which takes the file.
//! The only HTTP client.

pub mod bucket;
mod client;
mod credentials;
mod error;
pub mod gateway;
mod headers;
mod presigned;
mod proxy;
mod resolver;
mod signature;
mod target;
mod webhook;

use std::sync::Arc;

pub use bucket::{Bucket, Receipt};
pub use client::{ClientError, Clients};
pub use credentials::{Grant, Grants};
pub use error::{CloudError, Remedy, Service};
pub use gateway::{Gateway, GrantRequest};
pub use headers::MAX_RETRY_AFTER;
pub use signature::SigningClock;
pub use target::Target;
pub use webhook::post_json;

use crate::config::{SecretError, Settings};
use crate::domain::clock::Clock;

/// Both clouds, ready to be called.
#[derive(Debug, Clone)]
pub struct Clouds {
    /// Where credentials come from.
    pub gateway: Arc<Gateway>,
    /// Where files go.
    pub bucket: Arc<Bucket>,
    /// Our clock, put right by the clouds' answers.
    pub clock: Arc<SigningClock>,
}

/// Why the clouds cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No app secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Clouds {
    /// Reads the secrets and sets the clients up.
    ///
    /// # Errors
    /// When there is no app secret, a secret cannot be used, or a certificate file cannot be used.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let clock = Arc::new(SigningClock::new(clock));
        let clients = Clients::new(settings)?;
        let gateway = Gateway::new(settings, clients.clone(), clock.clone())?;
        let bucket = Bucket::new(settings, clients, clock.clone());
        Ok(Self { gateway: Arc::new(gateway), bucket: Arc::new(bucket), clock })
    }
}
