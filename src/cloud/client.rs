//! The HTTP client: rustls with the system's roots, HTTP/1.1, no redirects, fixed addresses where configured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Response};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::Url;

use super::error::{CloudError, Service, root_cause};
use super::proxy::Proxies;
use super::resolver::Resolver;
use crate::config::Settings;
use crate::domain::text::unmarked;

/// No answer of a cloud that means anything is longer.
pub(super) const LONGEST_ANSWER: usize = 64 << 10;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `network.ca_file`.
    #[error("network.ca_file: {path}: {reason}")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A proxy that cannot be used.
    #[error("{0}")]
    Proxy(String),
    /// TLS cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Build(#[from] reqwest::Error),
}

/// The client, and the addresses that are fixed.
#[derive(Debug, Clone)]
pub struct Clients {
    pub(super) http: Client,
    fixed: Arc<BTreeMap<String, SocketAddr>>,
    proxies: Arc<Proxies>,
}

impl Clients {
    /// Sets the client up.
    ///
    /// # Errors
    /// When a certificate file or a proxy cannot be used, or TLS cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        let proxies = Arc::new(Proxies::from_env().map_err(ClientError::Proxy)?);
        // an error means that another one is installed already, which is as good
        let _ = rustls::crypto::ring::default_provider().install_default();
        let extra = settings.network.ca_file.as_ref().map(certificates).transpose()?.unwrap_or_default();
        let with = |builder: ClientBuilder| builder.tls_certs_merge(extra.clone()).build();
        let http = match with(Self::builder(settings)) {
            Ok(http) => http,
            Err(error) => with(without_system_roots(Self::builder(settings), &error))?,
        };
        Ok(Self { http, fixed: Arc::new(settings.network.resolve.clone()), proxies })
    }

    fn builder(settings: &Settings) -> ClientBuilder {
        let mut builder = Client::builder()
            .user_agent(concat!("brandpost/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .dns_resolver(Resolver)
            .referer(false)
            .http1_only()
            .connect_timeout(settings.oss.connect_timeout)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(settings.limits.concurrency as usize);
        for (host, address) in &settings.network.resolve {
            builder = builder.resolve(host, *address);
        }
        builder
    }

    /// What went wrong in a call to a URL. The text is built from the chain of causes and never from the URL, which
    /// may carry a signature.
    pub(super) fn error(&self, service: Service, url: &Url, error: &reqwest::Error) -> CloudError {
        let host = url.host_str().unwrap_or_default();
        // `None` is the scheme's own
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let peer = match self.proxy(url) {
            Some(proxy) => format!("{host} through the proxy {proxy}"),
            None => host,
        };
        CloudError::from_client(service, &peer, error)
    }

    /// The proxy for a URL, which may be what does not answer.
    pub(super) fn proxy(&self, url: &Url) -> Option<String> {
        self.proxies.for_url(url)
    }

    /// The URL to connect to and the `Host` to name there. The port of a fixed address replaces the URL's,
    /// which a URL with a port of its own would not let happen.
    pub(super) fn route(&self, url: &Url) -> (Url, HeaderMap) {
        let mut headers = HeaderMap::new();
        let host = url.host_str().unwrap_or_default();
        let mut routed = url.clone();
        if let Some(port) = url.port().filter(|_| self.fixed.contains_key(host)) {
            if let Ok(value) = HeaderValue::try_from(format!("{host}:{port}")) {
                headers.insert(HOST, value);
            }
            let _ = routed.set_port(None);
        }
        (routed, headers)
    }
}

/// A system without any certificates can still talk HTTP to a sandbox, or HTTPS by `network.ca_file`.
fn without_system_roots(builder: ClientBuilder, error: &reqwest::Error) -> ClientBuilder {
    let why = root_cause(error);
    tracing::warn!("the system has no certificates to check HTTPS with ({why}); install ca-certificates");
    builder.tls_certs_only([])
}

/// As PEM, any number of them, or one as DER. Each is looked at here: what the client says of one that it cannot use
/// names no file.
fn certificates(path: &PathBuf) -> Result<Vec<Certificate>, ClientError> {
    const SEQUENCE: u8 = 0x30;
    let wrong = |reason: &str| ClientError::Certificate { path: path.clone(), reason: reason.into() };
    let bytes = std::fs::read(path).map_err(|error| wrong(&error.to_string()))?;
    let ders = match bytes.first() {
        Some(&SEQUENCE) => vec![CertificateDer::from(bytes)],
        _ => CertificateDer::pem_slice_iter(unmarked(&bytes))
            .collect::<Result<_, _>>()
            .map_err(|_| wrong("its PEM is damaged"))?,
    };
    if ders.is_empty() {
        return Err(wrong("holds no certificate, neither as PEM nor as DER"));
    }
    let usable = |der: &CertificateDer<'_>| {
        RootCertStore::empty().add(der.clone()).map_err(|error| wrong(&error.to_string()))?;
        Certificate::from_der(der).map_err(|error| wrong(&root_cause(&error)))
    };
    ders.iter().map(usable).collect()
}

/// Reads an answer's body, and no more of it than can mean anything.
pub(super) async fn read_body(mut answer: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        let room = LONGEST_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == LONGEST_ANSWER {
            break;
        }
    }
    Ok(body)
}
