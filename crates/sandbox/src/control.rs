//! `/_sandbox/…`: look at what happened, and make things go wrong, from outside the process.

use axum::{body::to_bytes, extract::Request, response::Response};
use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{answer, fault::Fault, state::Cloud};

pub(super) const PREFIX: &str = "/_sandbox/";

const BODY_MAX: usize = 1024 * 1024;

pub(super) async fn handle(cloud: &Cloud, request: Request) -> Response {
    let path = request.uri().path().strip_prefix(PREFIX).unwrap_or_default().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "health") => json_answer(200, &health(cloud)),
        (&Method::GET, "requests") => {
            let requests = cloud.lock().journal.list();
            json_answer(200, &requests)
        }
        (&Method::GET, "objects") => {
            let objects = cloud.lock().objects.clone();
            json_answer(200, &objects)
        }
        (&Method::GET, "faults") => faults(cloud),
        (&Method::POST, "faults") => add_faults(cloud, request).await,
        (&Method::DELETE, "faults") => {
            cloud.lock().faults.clear();
            faults(cloud)
        }
        _ => json_answer(404, &json!({"error": "no such page of the sandbox"})),
    }
}

fn health(cloud: &Cloud) -> Value {
    let options = &cloud.options;
    json!({"status": "ok", "bucket": options.bucket, "endpoint": options.endpoint, "region": options.region})
}

fn faults(cloud: &Cloud) -> Response {
    let faults = cloud.lock().faults.clone();
    json_answer(200, &faults)
}

async fn add_faults(cloud: &Cloud, request: Request) -> Response {
    let body = to_bytes(request.into_body(), BODY_MAX).await.unwrap_or_default();
    match read_faults(&body) {
        Ok(more) => {
            cloud.lock().faults.extend(more);
            faults(cloud)
        }
        Err(error) => json_answer(400, &json!({"error": error.to_string()})),
    }
}

/// One or a list; distinguished first, so that the error names what is wrong with it.
fn read_faults(body: &[u8]) -> serde_json::Result<Vec<Fault>> {
    let value: Value = serde_json::from_slice(body)?;
    if value.is_array() { serde_json::from_value(value) } else { Ok(vec![serde_json::from_value(value)?]) }
}

fn json_answer(status: u16, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("plain data with text for keys always serialises");
    answer::build(status, "application/json", body)
}
