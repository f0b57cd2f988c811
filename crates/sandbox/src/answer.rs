//! The answers both services can be made to give.

use std::{collections::BTreeMap, io, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;

use super::{connection::Hold, entry::Entry, plan::Plan};

/// Long enough for hyper to flush what it has before the body's error makes it close the connection.
const FLUSH: Duration = Duration::from_millis(20);

/// How much longer than the truth a cut answer says it is.
const MISSING: usize = 64;

const CHUNK: u64 = 64 * 1024;

/// A refusal in the service's own form.
pub(super) trait Refuse {
    fn refuse(&self, status: u16, code: &str, message: &str) -> Response;
}

/// Finishes an answer: its date, its id, and the faults that come after all the work is done.
pub(super) struct AnswerFinish<'a> {
    pub(super) date: String,
    pub(super) id_header: &'static str,
    pub(super) request_id: &'a str,
    pub(super) hold: &'a Hold,
}

impl AnswerFinish<'_> {
    pub(super) async fn send(&self, answer: Response, plan: &Plan, entry: Entry<'_>) -> Response {
        let mut answer = if plan.cut_body { cut(answer).await } else { answer };
        let headers = answer.headers_mut();
        for (name, value) in [("date", self.date.as_str()), (self.id_header, self.request_id)] {
            if !headers.contains_key(name) {
                headers.insert(HeaderName::from_static(name), value_of(value));
            }
        }
        for name in &plan.remove_headers {
            headers.remove(name.as_str());
        }
        write_headers(headers, &plan.set_headers);
        entry.note(|log| log.status = Some(answer.status().as_u16()));
        if plan.reset_after {
            entry.note(|log| log.status = None);
            self.hold.reset();
            self.hold.broken().await;
        }
        answer
    }
}

/// An answer that breaks off before its first byte.
pub(super) fn broken() -> Response {
    let error = async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) };
    build(500, "", Body::from_stream(stream::once(error)))
}

pub(super) fn build(status: u16, content_type: &str, body: impl Into<Body>) -> Response {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !content_type.is_empty() {
        answer.headers_mut().insert(header::CONTENT_TYPE, value_of(content_type));
    }
    answer
}

pub(super) fn set(answer: &mut Response, name: &'static str, value: &str) {
    answer.headers_mut().insert(HeaderName::from_static(name), value_of(value));
}

/// What cannot be in a header (a line break, say) becomes `?`.
fn value_of(text: &str) -> HeaderValue {
    let clean = |byte: u8| if byte.is_ascii_control() { b'?' } else { byte };
    let bytes: Vec<u8> = text.bytes().map(clean).collect();
    HeaderValue::from_bytes(&bytes).expect("control characters were replaced, everything else is allowed")
}

pub(super) fn raw(status: u16, headers: &BTreeMap<String, String>, body: &str) -> Response {
    let mut answer = build(status, "", body.to_owned());
    write_headers(answer.headers_mut(), headers);
    answer
}

/// A scenario's unusable header name is left out: there is no place here to complain.
fn write_headers(headers: &mut HeaderMap, pairs: &BTreeMap<String, String>) {
    for (name, value) in pairs {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, value_of(value));
        }
    }
}

pub(super) fn huge(bytes: u64) -> Response {
    let start = Bytes::from_static(b"{\"id\":\"");
    let chunks = stream::unfold((start, bytes), |(chunk, left)| async move {
        let size = left.min(chunk.len() as u64);
        let next = Bytes::from(vec![b'x'; usize::try_from(CHUNK.min(left - size)).unwrap_or_default()]);
        let now = chunk.slice(..usize::try_from(size).unwrap_or_default());
        (size > 0).then_some((Ok::<_, io::Error>(now), (next, left - size)))
    });
    build(200, "application/json; charset=utf-8", Body::from_stream(chunks))
}

/// Half of the answer under the length of the whole and more, then an error, at which hyper closes.
async fn cut(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    // These bodies are built in memory; one that fails to collect is as good as empty.
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let half = whole.slice(..whole.len() / 2);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len() + MISSING));
    let chunks = stream::unfold(Some(half), |half| async move {
        match half {
            Some(half) if !half.is_empty() => Some((Ok(half), Some(Bytes::new()))),
            Some(_) => {
                tokio::time::sleep(FLUSH).await;
                Some((Err(io::Error::from(io::ErrorKind::UnexpectedEof)), None))
            }
            None => None,
        }
    });
    Response::from_parts(parts, Body::from_stream(chunks))
}
