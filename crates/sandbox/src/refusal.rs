//! How the gateway says no, and the envelope in which it says yes.

use axum::{body::Body, response::Response};
use serde_json::{Value, json};

use super::answer::{self, Refuse};

/// Why there are no credentials.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The gateway itself: the reason is in `X-Ca-Error-*`.
    Ca { status: u16, code: &'static str, message: String },
    /// The reason is in the envelope.
    Envelope { status: u16, code: i64, message: &'static str, localized: Option<&'static str> },
}

impl Refusal {
    pub(super) fn ca(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::Ca { status, code, message: message.into() }
    }

    pub(super) fn format() -> Self {
        Self::Envelope { status: 400, code: 400, message: "Request Format Error", localized: None }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Ca { code, .. } => (*code).to_owned(),
            Self::Envelope { code, .. } => code.to_string(),
        }
    }

    pub(super) fn answer(&self, call_id: &str) -> Response {
        match self {
            Self::Ca { status, code, message } => ca_error(*status, code, message),
            Self::Envelope { status, code, message, localized } => {
                failure(*status, call_id, *code, Some(message), *localized)
            }
        }
    }
}

/// A gateway error in place of an answer.
pub(super) struct CaForm;

impl Refuse for CaForm {
    fn refuse(&self, status: u16, code: &str, message: &str) -> Response {
        ca_error(status, code, message)
    }
}

/// The gateway's own errors have no body.
pub(super) fn ca_error(status: u16, code: &str, message: &str) -> Response {
    let mut answer = answer::build(status, "", Body::empty());
    answer::set(&mut answer, "x-ca-error-code", code);
    answer::set(&mut answer, "x-ca-error-message", message);
    answer
}

pub(super) fn failure(
    status: u16,
    call_id: &str,
    code: i64,
    message: Option<&str>,
    localized: Option<&str>,
) -> Response {
    envelope(status, call_id, code, (message, localized), &Value::Null)
}

pub(super) fn envelope(
    status: u16,
    call_id: &str,
    code: i64,
    (message, localized): (Option<&str>, Option<&str>),
    data: &Value,
) -> Response {
    let body =
        json!({"id": call_id, "code": code, "message": message, "localizedMsg": localized, "data": data});
    answer::build(status, "application/json; charset=utf-8", body.to_string())
}
