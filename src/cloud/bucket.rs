//! OSS: the PUT of one object, streamed from an open file, and what its answer means; the HEAD of one that is in the way.

mod answer;
mod body;
mod buffers;
mod receipt;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderName, StatusCode};
use reqwest::Response;
use tokio::time::Instant;

use super::client::{self, Clients};
use super::credentials::Grant;
use super::error::{CloudError, Remedy, Service};
use super::gateway::to_header_map;
use super::headers;
use super::signature::{
    OssRequest, SigningClock, SigningKey, http_date, oss_v1, oss_v4, signature_in, v4_date,
};
use super::target::{Signing, Target};
use crate::config::Settings;
use crate::domain::failure::ErrorKind;
use crate::domain::image::Format;
use crate::domain::text::without_secrets;
use crate::domain::upload::Digests;
use crate::fs_timeout::OpenFile;
use body::{Source, Transfer};
use buffers::Buffers;
use receipt::UNKNOWN_OBJECT;

pub use body::BytesLimiter;

/// After other bytes arrived than were checked, what is sent is hashed for so long.
const HASH: Duration = Duration::from_mins(10);

/// What is wrong with a file that kept OSS waiting.
const NO_ANSWER: &str = "the file cannot be read to its end: its file system does not answer";

/// Reads an answer that is no receipt: for the fuzzer.
#[doc(hidden)]
pub fn read_refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], target: &Target) -> CloudError {
    answer::refusal(status, headers, body, target)
}

/// OSS, whichever bucket.
#[derive(Debug)]
pub struct Bucket {
    clients: Clients,
    clock: Arc<SigningClock>,
    timeout: Duration,
    limiter: Option<Arc<BytesLimiter>>,
    buffers: Arc<Buffers>,
    /// Presigned URLs were signed without a `Content-Type`, as far as it is known.
    without_content_type: AtomicBool,
    /// Until then what is sent is hashed.
    hash_until: Mutex<Option<Instant>>,
}

/// What is sent.
#[derive(Debug)]
pub struct Object<'a> {
    /// The file, read from its beginning.
    pub file: Arc<OpenFile>,
    /// Its length.
    pub size: u64,
    /// What it is.
    pub format: Format,
    /// Its checksums, as inspection found them.
    pub digests: &'a Digests,
    /// A presigned URL refused the request with the `Content-Type`, or without it: now the other of the two.
    pub toggle_content_type: bool,
}

/// OSS has the object, and its checksums are those of our file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Without quotes.
    pub etag: String,
    /// OSS's id of the request.
    pub request_id: Option<String>,
}

impl Receipt {
    /// A header of the answer may repeat a secret.
    fn without(self, secrets: &[&str]) -> Self {
        Self {
            etag: without_secrets(&self.etag, secrets),
            request_id: self.request_id.map(|id| without_secrets(&id, secrets)),
        }
    }
}

impl Bucket {
    pub(super) fn new(settings: &Settings, clients: Clients, clock: Arc<SigningClock>) -> Self {
        let limiter = body::limiter(settings.limits.bytes_per_second).map(Arc::new);
        Self {
            clients,
            clock,
            timeout: settings.oss.timeout,
            limiter,
            buffers: Arc::default(),
            without_content_type: AtomicBool::default(),
            hash_until: Mutex::default(),
        }
    }

    /// Puts an object. A PUT can be repeated: same key, same bytes.
    ///
    /// # Errors
    /// With what OSS said and what follows from it.
    pub async fn put(
        &self,
        target: &Target,
        grant: &Grant,
        object: Object<'_>,
    ) -> Result<Receipt, CloudError> {
        let (digests, toggle_content_type) = (object.digests, object.toggle_content_type);
        let presigned = target.signing == Signing::InUrl;
        let without_content_type =
            presigned && self.without_content_type.load(Ordering::Relaxed) != toggle_content_type;
        let result = self.send(target, grant, object, without_content_type).await;
        if toggle_content_type && result.is_ok() {
            self.without_content_type.store(without_content_type, Ordering::Relaxed);
        }
        let result = match result {
            Err(error) if receipt::forbids_overwriting(&error) => {
                self.confirm_existing(target, grant, digests, error).await
            }
            Err(error) if presigned => Err(answer::in_url(error, toggle_content_type)),
            result => result,
        };
        let in_url = target.secrets();
        let mut secrets: Vec<&str> = in_url.iter().map(String::as_str).collect();
        secrets.extend([
            &*grant.access_key_id,
            grant.access_key_secret.expose(),
            grant.security_token.expose(),
        ]);
        result.map(|receipt| receipt.without(&secrets)).map_err(|error| error.without(&secrets))
    }

    async fn send(
        &self,
        target: &Target,
        grant: &Grant,
        object: Object<'_>,
        without_content_type: bool,
    ) -> Result<Receipt, CloudError> {
        let (url, mut headers) = self.clients.route(&target.url);
        let pair = |name: HeaderName, value: &str| (name.to_string(), value.to_owned());
        let (digests, size) = (object.digests, object.size);
        let mut content = Vec::new();
        if !without_content_type {
            content.push(pair(CONTENT_TYPE, object.format.content_type()));
        }
        if target.signing != Signing::InUrl {
            // a URL that is signed already was signed without it
            content.push(("content-md5".to_owned(), digests.md5.clone()));
        }
        headers.extend(self.headers("PUT", target, grant, content)?);
        headers.insert(CONTENT_LENGTH, size.into());
        let signature = signature_of(&headers);
        let transfer = Transfer::new(self.is_hashing());
        let source = Source {
            file: object.file,
            size,
            unsent: Bytes::new(),
            transfer: transfer.clone(),
            buffers: self.buffers.clone(),
            limiter: self.limiter.clone(),
        };
        let request = self.clients.http.put(url).headers(headers).body(body::stream(source));
        let exchange = async {
            let answer =
                request.send().await.map_err(|error| self.client_error(target, &transfer, &error))?;
            transfer.answered();
            self.read(target, digests, answer).await
        };
        tokio::select! {
            result = exchange => {
                result.map_err(|error| self.blame(error, &transfer, size, digests).without(&[&signature]))
            }
            () = transfer.stalled(self.timeout) => Err(self.stalled(target, &transfer)),
        }
    }

    fn is_hashing(&self) -> bool {
        let until = self.hash_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Was it the file, and neither the way nor the cloud? It kept OSS waiting; or other bytes were sent than were checked,
    /// which is known only if they were hashed, as they are from now on for a while.
    fn blame(&self, error: CloudError, transfer: &Transfer, size: u64, digests: &Digests) -> CloudError {
        match error.failure.kind {
            ErrorKind::Network | ErrorKind::Timeout | ErrorKind::OssError
                if transfer.waited_long_for_file() =>
            {
                CloudError::of_file(NO_ANSWER, error.sent)
            }
            ErrorKind::ChecksumMismatch => {
                let until = Instant::now() + HASH;
                *self.hash_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
                match transfer.sent_sha256(size) {
                    Some(sent) if sent == digests.sha256 => error,
                    Some(_) => {
                        let message = "the file was changed while it was sent; it is checked again";
                        CloudError::of_file(message, error.sent)
                    }
                    None => CloudError { remedy: Remedy::HashNextTime, ..error },
                }
            }
            _ => error,
        }
    }

    /// Nothing moved for the timeout: whose fault it is.
    fn stalled(&self, target: &Target, transfer: &Transfer) -> CloudError {
        if transfer.waits_for_file() {
            return CloudError::of_file(NO_ANSWER, false);
        }
        let message = format!("{} made no progress for {} s", target.host(), self.timeout.as_secs_f32());
        CloudError::new(Service::Oss, ErrorKind::Timeout, Remedy::Later, message).perhaps_sent()
    }

    fn client_error(&self, target: &Target, transfer: &Transfer, error: &reqwest::Error) -> CloudError {
        match transfer.file_error() {
            Some(message) => CloudError::of_file(message, false),
            None => self.clients.error(Service::Oss, &target.url, error),
        }
    }

    async fn read(
        &self,
        target: &Target,
        digests: &Digests,
        answer: Response,
    ) -> Result<Receipt, CloudError> {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let receipt = status.is_success().then(|| receipt::receipt(status, &headers, digests, target.host()));
        if let Some(Ok(receipt)) = receipt {
            return Ok(receipt);
        }
        let body = client::read_body(answer).await;
        let body = body.map_err(|error| self.clients.error(Service::Oss, &target.url, &error))?;
        let error = match receipt {
            Some(Err(unproven)) if !answer::is_error(&body) => unproven,
            Some(_) => answer::refusal(status, &headers, &body, target).perhaps_sent(),
            None => answer::refusal(status, &headers, &body, target),
        };
        if error.remedy == Remedy::CorrectClock {
            self.clock.learn(headers::text(&headers, "date"));
        }
        Err(error)
    }

    /// The bucket does not let an object be replaced. The object of an earlier PUT whose answer was lost counts as
    /// uploaded.
    async fn confirm_existing(
        &self,
        target: &Target,
        grant: &Grant,
        digests: &Digests,
        refusal: CloudError,
    ) -> Result<Receipt, CloudError> {
        let Some(target) = target.with_header_signing() else {
            return Err(receipt::in_the_way(refusal, UNKNOWN_OBJECT));
        };
        let (url, mut headers) = self.clients.route(&target.url);
        headers.extend(self.headers("HEAD", &target, grant, Vec::new())?);
        let signature = signature_of(&headers);
        let request = self.clients.http.head(url).headers(headers).timeout(self.timeout);
        let answer = request.send().await;
        // nothing of the file was kept by the PUT, and nothing is sent now
        let unsent = |error: CloudError| CloudError { sent: false, ..error }.without(&[&signature]);
        let answer = answer.map_err(|error| unsent(self.clients.error(Service::Oss, &target.url, &error)))?;
        receipt::existing(answer.status(), answer.headers(), digests, &target, refusal).map_err(unsent)
    }

    /// All headers of a request with these that describe its content.
    fn headers(
        &self,
        method: &str,
        target: &Target,
        grant: &Grant,
        content: Vec<(String, String)>,
    ) -> Result<HeaderMap, CloudError> {
        let key = SigningKey { id: &grant.access_key_id, secret: &grant.access_key_secret };
        let now = self.clock.now();
        let mut headers = content;
        let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        if target.signing != Signing::InUrl {
            add("x-oss-security-token", grant.security_token.expose());
        }
        if let Signing::V4(_) = target.signing {
            add("x-oss-content-sha256", "UNSIGNED-PAYLOAD");
            add("x-oss-date", &v4_date(now));
        }
        let request = OssRequest { method, bucket: &target.bucket, key: &target.key, headers };
        let date = http_date(now);
        let authorization = match &target.signing {
            Signing::V4(region) => Some(oss_v4(&request, key, region, now)),
            Signing::V1 => Some(oss_v1(&request, key, &date)),
            Signing::InUrl => None,
        };
        let mut headers = request.headers;
        headers.push((DATE.to_string(), date));
        headers.extend(authorization.map(|authorization| (AUTHORIZATION.to_string(), authorization)));
        to_header_map(Service::Oss, &headers)
    }
}

/// A cloud may repeat it in what it says.
fn signature_of(headers: &HeaderMap) -> String {
    headers::text(headers, AUTHORIZATION.as_str())
        .map_or(String::new(), |value| signature_in(value).to_owned())
}
