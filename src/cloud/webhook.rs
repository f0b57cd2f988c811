//! A POST to an address that the operator configured. Its URL holds a key and is never named in an error.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::client::{Clients, read_body};
use super::error::root_cause;
use crate::config::Secret;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Posts JSON and gives back the answer's body.
///
/// # Errors
/// One line without the URL: what is wrong with it, the way there, or the status of the answer.
pub async fn post_json(
    clients: &Clients,
    url: &Secret,
    query: &[(&'static str, String)],
    body: &Value,
) -> Result<Vec<u8>, String> {
    let mut url = Url::parse(url.expose()).map_err(|_| "alerts.webhook is no URL".to_owned())?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let proxy = clients.proxy(&url);
    let (url, headers) = clients.route(&url);
    let request = clients.http.post(url).headers(headers).timeout(TIMEOUT);
    let request = request.header("content-type", "application/json").body(body.to_string());
    let answer = request.send().await.map_err(|error| match proxy {
        Some(proxy) => format!("through the proxy {proxy}: {}", root_cause(&error.without_url())),
        None => root_cause(&error.without_url()),
    })?;
    let status = answer.status();
    let body = read_body(answer).await.map_err(|error| root_cause(&error.without_url()))?;
    if status.is_success() { Ok(body) } else { Err(format!("alerts.webhook answers {status}")) }
}
