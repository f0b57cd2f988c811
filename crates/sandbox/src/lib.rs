//! The sandbox: two clouds on one loopback port, for demonstrations and tests of an uploader.
//!
//! - `POST /industry/qualification/oss/sts/get` is the IoT API gateway: it hands out temporary credentials;
//! - any `PUT` or `HEAD` is OSS, the bucket named by the `Host` header;
//! - `/_sandbox/…` controls the sandbox itself.
//!
//! It speaks plain HTTP: the client resolves the clouds' names to this port. Every signature is verified
//! from the provider's rules ([`verify`]), with no code shared with the signing side. What is to go wrong is
//! a list of [`Fault`]s.
//!
//! A request's way: [`router`] → `gateway` or `bucket` → a line in the journal → a plan drawn from the
//! faults → checks → the answer, or the fault in its place.

#![expect(missing_docs, clippy::missing_errors_doc, reason = "its names are the protocol's")]

mod admission;
mod answer;
mod bucket;
mod call;
mod connection;
mod control;
mod entry;
mod fault;
mod gateway;
mod grant;
mod instead;
mod intake;
mod journal;
mod options;
mod oss_error;
mod plan;
mod refusal;
mod slot;
mod state;
pub mod verify;
mod wire;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::Method;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use connection::{Hold, SandboxListener};
pub use fault::{Fault, FaultAction, Scenario, Service};
pub use journal::RequestLog;
pub use options::{Clock, RequestHook, SandboxOptions, Stage, UploadUrl};
pub use slot::Slot;
pub use state::{Cloud, StoredObject};

/// A running sandbox. Dropping it breaks its connections; [`Sandbox::stop`] also waits until they are gone.
pub struct Sandbox {
    addr: SocketAddr,
    cloud: Arc<Cloud>,
    stop: CancellationToken,
    server: JoinHandle<io::Result<()>>,
}

impl Sandbox {
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        if let Some(dir) = &options.dir {
            tokio::fs::create_dir_all(dir).await?;
        }
        let tcp = TcpListener::bind(options.listen).await?;
        let addr = tcp.local_addr()?;
        let (cloud, stop) = (Arc::new(Cloud::new(options)), CancellationToken::new());
        let listener = SandboxListener { tcp, stop: stop.clone() };
        let service = router(Arc::clone(&cloud)).into_make_service_with_connect_info::<Hold>();
        let serve = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
        Ok(Self { addr, cloud, stop, server: tokio::spawn(async move { serve.await }) })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn fault(&self, fault: Fault) {
        self.cloud.lock().faults.push(fault);
    }

    pub fn scenario(&self, scenario: Scenario) {
        self.cloud.lock().faults.extend(scenario.faults);
    }

    pub fn clear_faults(&self) {
        self.cloud.lock().faults.clear();
    }

    /// Those still in force, counted down as far as they have been used.
    pub fn faults(&self) -> Vec<Fault> {
        self.cloud.lock().faults.clone()
    }

    /// In the order of arrival. A request's line is complete before its answer leaves.
    pub fn requests(&self) -> Vec<RequestLog> {
        self.cloud.lock().journal.list()
    }

    pub fn objects(&self) -> BTreeMap<String, StoredObject> {
        self.cloud.lock().objects.clone()
    }

    /// From memory or from the folder; `None` when the object was never put, or its file is gone.
    pub fn object_bytes(&self, key: &str) -> Option<Bytes> {
        let object = self.cloud.lock().objects.get(key).cloned()?;
        let options = &self.cloud.options;
        object.bytes.or_else(|| {
            let path = intake::object_path(options.dir.as_deref()?, &options.bucket, key);
            std::fs::read(path).ok().map(Bytes::from)
        })
    }

    /// Ends when the server does, which it does by itself only if it fails.
    pub async fn wait(&mut self) -> io::Result<()> {
        (&mut self.server).await.map_err(io::Error::other)?
    }

    pub async fn stop(mut self) {
        self.stop.cancel();
        // Whether it ended well or in a panic, it is gone: all that is asked here.
        let _ = (&mut self.server).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// All of the sandbox, for a server of one's own. Faults that break a connection need [`Sandbox::start`]:
/// without its listener a reset is at best an answer whose body breaks off.
pub fn router(cloud: Arc<Cloud>) -> Router {
    Router::new().fallback(dispatch).with_state(cloud)
}

/// A broken connection ends its request too, even one that hangs for ever.
async fn dispatch(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    let hold = Hold::of(&request);
    let mut answer = tokio::select! {
        answer = route(&cloud, &hold, request) => answer,
        // Under our own listener never sent: the connection takes no more writes.
        () = hold.broken() => answer::broken(),
    };
    if cloud.options.request_hook.is_some() {
        answer::set(&mut answer, "connection", "close");
    }
    answer
}

async fn route(cloud: &Cloud, hold: &Hold, request: Request) -> Response {
    let path = request.uri().path();
    match *request.method() {
        Method::PUT | Method::HEAD => bucket::handle(cloud, hold, request).await,
        Method::POST if path == gateway::PATH => gateway::handle(cloud, hold, request).await,
        _ if path.starts_with(control::PREFIX) => control::handle(cloud, request).await,
        _ => unknown(cloud, request),
    }
}

fn unknown(cloud: &Cloud, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let entry = entry::Entry::open(cloud, Service::Unknown, &parts, "");
    entry.note(|log| (log.outcome, log.status) = ("unknown".to_owned(), Some(404)));
    answer::build(404, "text/plain", "The sandbox has no such page.\n")
}
