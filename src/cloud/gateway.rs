//! The IoT API gateway: `POST /industry/qualification/oss/sts/get` grants temporary OSS credentials.

mod answer;
mod granted;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::client::{self, Clients};
use super::credentials::{Grant, lasts};
use super::error::{CloudError, Remedy, Service};
use super::headers;
use super::signature::{
    SigningClock, gateway_signature, gateway_string_to_sign, http_date, md5_base64, signed_gateway_headers,
};
use crate::config::{Secret, SecretError, SecretSource, Settings};
use crate::domain::brand::BrandKey;
use crate::domain::failure::ErrorKind;
use crate::domain::image::Format;
use crate::domain::text::{without_secret, without_secrets};
use granted::ClockReadings;

/// The API's path.
pub const PATH: &str = "/industry/qualification/oss/sts/get";

/// The API's version.
const API_VERSION: &str = "1.0.0";

/// What a grant is for.
#[derive(Debug, Clone, Copy)]
pub struct GrantRequest {
    /// Type and record id.
    pub brand: BrandKey,
    /// The API's `index`.
    pub slot: u32,
    /// The API's `suffix`.
    pub format: Format,
}

/// Reads an answer that came in the year 1970: for the fuzzer.
///
/// # Errors
/// With what the gateway said.
#[doc(hidden)]
pub fn read_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Grant, CloudError> {
    let now = ClockReadings { ours: Timestamp::UNIX_EPOCH, theirs: None };
    answer::read(status, headers, body, "gateway", now)
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    url: Url,
    app_id: String,
    app_key: String,
    source: SecretSource,
    secret: Mutex<Secret>,
    iot_token: Option<Secret>,
    stage: Option<String>,
    timeout: Duration,
    clients: Clients,
    clock: Arc<SigningClock>,
}

impl Gateway {
    pub(super) fn new(
        settings: &Settings,
        clients: Clients,
        clock: Arc<SigningClock>,
    ) -> Result<Self, SecretError> {
        let gateway = &settings.gateway;
        let mut url = gateway.url.clone();
        url.set_path(PATH);
        Ok(Self {
            url,
            app_id: gateway.app_id.clone(),
            app_key: gateway.app_key.clone(),
            source: gateway.secret.clone(),
            secret: Mutex::new(gateway.secret.load()?),
            iot_token: gateway.iot_token.as_ref().map(SecretSource::load).transpose()?,
            stage: gateway.stage.clone(),
            timeout: gateway.timeout,
            clients,
            clock,
        })
    }

    /// Reads the app secret again. True when it is another one than before; a secret that cannot be read now
    /// changes nothing.
    pub fn reload_secret(&self) -> bool {
        let Ok(now) = self.source.load() else { return false };
        let mut secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *secret, now.clone()) != now
    }

    fn secret(&self) -> Secret {
        self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for credentials for one slot.
    ///
    /// # Errors
    /// With what the gateway said and what follows from it.
    pub async fn grant(&self, request: GrantRequest) -> Result<Grant, CloudError> {
        self.call(&self.body(&json!({
            "appId": self.app_id,
            "index": request.slot,
            "id": request.brand.record(),
            "suffix": request.format.suffix(),
            "type": request.brand.kind().as_str(),
        })))
        .await
    }

    /// A signed call that the gateway must refuse after it has accepted the signature: its parameters are
    /// empty. It takes no slot.
    ///
    /// # Errors
    /// Always, with what the gateway said.
    pub async fn probe(&self) -> Result<Grant, CloudError> {
        self.call(&self.body(&json!({ "appId": self.app_id }))).await
    }

    async fn call(&self, body: &str) -> Result<Grant, CloudError> {
        let (url, mut headers) = self.clients.route(&self.url);
        headers.extend(self.headers(body)?);
        let signature = headers::text(&headers, "x-ca-signature").unwrap_or_default().to_owned();
        let request =
            self.clients.http.post(url).headers(headers).body(body.to_owned()).timeout(self.timeout);
        let host = self.url.host_str().unwrap_or_default();
        let client_error = |error: reqwest::Error| self.clients.error(Service::Gateway, &self.url, &error);
        let answer = request.send().await.map_err(client_error)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = client::read_body(answer).await.map_err(client_error)?;
        let date = headers::text(&headers, "date");
        let ours = self.clock.now();
        let result = answer::read(
            status,
            &headers,
            &body,
            host,
            ClockReadings { ours, theirs: self.clock.observe(date) },
        );
        let refused = matches!(&result, Err(CloudError { remedy: Remedy::CorrectClock, .. }));
        // expired by our clock and not by theirs: ours is wrong
        if refused || matches!(&result, Ok(grant) if !lasts(grant.expiration, ours)) {
            self.clock.learn(date);
        }
        let (token, secret) = (self.iot_token.as_ref().map_or("", Secret::expose), self.secret());
        let secrets = [token, secret.expose(), &signature];
        if let Some(theirs) = headers::text(&headers, "x-ca-error-message").filter(|_| result.is_err()) {
            let theirs = without_secrets(theirs, &secrets);
            tracing::debug!(theirs, "the gateway's own message");
        }
        result.and_then(|grant| that_repeats_none(grant, &secrets)).map_err(|error| error.without(&secrets))
    }

    fn body(&self, params: &serde_json::Value) -> String {
        let mut request = json!({ "apiVer": API_VERSION });
        if let Some(token) = &self.iot_token {
            request["iotToken"] = token.expose().into();
        }
        let id = Uuid::new_v4().simple().to_string();
        json!({ "id": id, "version": "1.0", "request": request, "params": params }).to_string()
    }

    /// Everything that is signed, and the signature. A nonce is used once, so every call has its own signature.
    fn headers(&self, body: &str) -> Result<HeaderMap, CloudError> {
        let now = self.clock.now();
        let mut headers: Vec<(String, String)> = [
            ("accept", "application/json; charset=utf-8".into()),
            ("content-type", "application/octet-stream; charset=utf-8".into()),
            ("content-md5", md5_base64(body.as_bytes())),
            ("date", http_date(now)),
            ("x-ca-key", self.app_key.clone()),
            ("x-ca-timestamp", now.as_millisecond().to_string()),
            ("x-ca-nonce", Uuid::new_v4().to_string()),
            ("x-ca-signature-method", "HmacSHA256".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        headers.extend(self.stage.clone().map(|stage| ("x-ca-stage".to_owned(), stage)));
        let string_to_sign = gateway_string_to_sign("POST", PATH, &headers);
        tracing::debug!(string_to_sign, "signing for the gateway");
        let names: Vec<_> = signed_gateway_headers(&headers).iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(",");
        headers.push(("x-ca-signature-headers".into(), names));
        headers.push(("x-ca-signature".into(), gateway_signature(&self.secret(), &string_to_sign)));
        to_header_map(Service::Gateway, &headers)
    }
}

/// What a grant says of its place and of the request gets into the log and the database: no secret may be in it.
fn that_repeats_none(mut grant: Grant, secrets: &[&str]) -> Result<Grant, CloudError> {
    let of_grant = [grant.access_key_secret.expose(), grant.security_token.expose()];
    let secrets = [secrets, &of_grant].concat();
    // what is signed stands in the query, which is kept out of everything
    let place = grant.upload_url.expose().split('?').next().unwrap_or_default();
    let place = percent_decode_str(place).decode_utf8_lossy().to_ascii_lowercase();
    let repeated = secrets.iter().any(|secret| without_secret(&place, &secret.to_ascii_lowercase()) != place);
    if repeated {
        let what = "it repeats a secret";
        let why = format!("the gateway's uploadUrl is unusable: {what}");
        return Err(fail(ErrorKind::BadUploadUrl, Remedy::GiveUp, why));
    }
    let request_id = grant.request_id.as_deref().map(|id| without_secrets(id, &secrets));
    grant.request_id = request_id;
    Ok(grant)
}

/// Headers for the wire. Only a configuration with control characters could fail here.
pub(super) fn to_header_map(service: Service, headers: &[(String, String)]) -> Result<HeaderMap, CloudError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let wrong = || {
            let kind = if service == Service::Gateway {
                ErrorKind::GatewayRejected
            } else {
                ErrorKind::BadUploadUrl
            };
            CloudError::new(service, kind, Remedy::GiveUp, format!("the header {name} cannot be sent"))
        };
        let key = HeaderName::try_from(name).map_err(|_| wrong())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| wrong())?;
        value.set_sensitive(matches!(
            name.as_str(),
            "authorization" | "x-oss-security-token" | "x-ca-signature"
        ));
        map.insert(key, value);
    }
    Ok(map)
}

fn fail(kind: ErrorKind, remedy: Remedy, message: impl Into<String>) -> CloudError {
    CloudError::new(Service::Gateway, kind, remedy, message)
}
