//! How a sandbox is set up.

use std::{net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fault::Service;

/// Where the sandbox reads the time: a test hands in its own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A point on a request's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It was read as far as its head; faults are not drawn yet.
    Arrived,
    /// All is done, the answer is about to leave.
    Answering,
}

/// Where a test may hold a request.
pub type RequestHook = Arc<dyn Fn(Service, Stage) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Which of the shapes `uploadUrl` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadUrl {
    /// The bucket's host alone: the client names the key.
    #[default]
    Bucket,
    /// Host and path: the path is the key.
    Path,
    /// Host, path and a V1 signature. Signed for the suffix's `Content-Type` and no `Content-MD5`.
    PresignedV1,
    /// Host, path and a V1 signature for no `Content-Type` at all.
    PresignedV1Untyped,
    /// Host, path and a V4 signature. Signed for the suffix's `Content-Type` and no `Content-MD5`.
    PresignedV4,
}

#[derive(Clone)]
pub struct SandboxOptions {
    pub listen: SocketAddr,
    /// Objects are kept here as files `bucket/key`; `None`: in memory.
    pub dir: Option<PathBuf>,
    pub app_key: String,
    pub app_secret: String,
    pub app_id: String,
    pub bucket: String,
    pub endpoint: String,
    pub region: String,
    pub token_life: Duration,
    pub upload_url: UploadUrl,
    pub time: Clock,
    /// Every request passes here, twice; then its connection is closed after the answer.
    pub request_hook: Option<RequestHook>,
}

impl SandboxOptions {
    pub(super) async fn pass(&self, service: Service, stage: Stage) {
        if let Some(hook) = &self.request_hook {
            hook(service, stage).await;
        }
    }

    /// The host a bucket answers to.
    pub fn bucket_host(&self) -> String {
        format!("{}.{}", self.bucket, self.endpoint)
    }
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            dir: None,
            app_key: "30001234".to_owned(),
            app_secret: "sandbox-app-secret".to_owned(),
            app_id: "a1B2c3D4".to_owned(),
            bucket: "iotx-industry".to_owned(),
            endpoint: "oss-cn-hangzhou.aliyuncs.com".to_owned(),
            region: "cn-hangzhou".to_owned(),
            token_life: Duration::from_hours(1),
            upload_url: UploadUrl::default(),
            time: Arc::new(machine_time),
            request_hook: None,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
fn machine_time() -> Timestamp {
    Timestamp::now()
}
