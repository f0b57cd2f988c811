//! What the gateway's answer means. `code` decides, then `X-Ca-Error-Code`, then the HTTP status.

use http::{HeaderMap, StatusCode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::fail;
use super::granted::{ClockReadings, grant};
use crate::cloud::credentials::Grant;
use crate::cloud::error::{CloudError, LONGEST_MESSAGE, Remedy, Service};
use crate::cloud::headers::{name, retry_after, text};
use crate::domain::failure::ErrorKind;
use crate::domain::text::{one_line, unmarked};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(deserialize_with = "number")]
    code: i64,
    #[serde(default, deserialize_with = "text_of_any")]
    message: Option<String>,
    #[serde(default, deserialize_with = "text_of_any")]
    localized_msg: Option<String>,
    #[serde(default)]
    data: Option<Value>,
}

/// A whole number, or a text that is one.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let text = value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
    let text = text.trim_end_matches('0').strip_suffix('.').unwrap_or(&text);
    text.parse().map_err(|_| D::Error::custom("no number"))
}

/// A text, or what can be written as one.
fn text_of_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// Reads an answer.
///
/// # Errors
/// With what the gateway said and what follows from it.
pub(super) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    host: &str,
    now: ClockReadings,
) -> Result<Grant, CloudError> {
    let request_id = name(headers, "x-ca-request-id");
    let envelope: Option<Envelope> = serde_json::from_slice(unmarked(body)).ok();
    let marks = ["x-ca-request-id", "x-ca-error-code", "x-ca-error-message"];
    if envelope.is_none() && marks.iter().all(|name| text(headers, name).is_none()) {
        return Err(CloudError::intercepted(Service::Gateway, host, status, headers));
    }
    let result = match (envelope, text(headers, "x-ca-error-code")) {
        (Some(Envelope { code: 200, data, .. }), _) if status.is_success() => grant(data, now),
        (Some(envelope), _) if status.is_success() || envelope.is_business() => Err(business(&envelope)),
        (envelope, Some(code)) => Err(platform(code, status, headers, envelope.as_ref())),
        (Some(envelope), None) => Err(by_status(status, headers, Some(&envelope))),
        (None, None) => Err(by_status(status, headers, None)),
    };
    match result {
        Ok(grant) => Ok(Grant { request_id, ..grant }),
        Err(error) => Err(error.with_request_id(request_id)),
    }
}

/// HTTP 200 and a code that is not 200.
fn business(envelope: &Envelope) -> CloudError {
    use ErrorKind::{Credentials, GatewayError, GatewayRejected, Throttled};
    let (kind, remedy) = match envelope.code {
        401 => (Credentials, Remedy::Pause),
        403 | 460 | 20055 => (GatewayRejected, Remedy::GiveUp),
        500 | 1009 | 20003 | 20004 | 20056 => (GatewayError, Remedy::Later),
        429 => (Throttled, Remedy::SlowDown(None)),
        _ => (GatewayError, Remedy::FewTimes),
    };
    fail(kind, remedy, envelope.message()).with_code(Some(envelope.code.to_string()))
}

/// A refusal by the API gateway itself, before the API was reached.
fn platform(code: &str, status: StatusCode, headers: &HeaderMap, envelope: Option<&Envelope>) -> CloudError {
    let message = match (text(headers, "x-ca-error-message"), envelope) {
        (Some(message), _) => short(message),
        (None, Some(envelope)) => envelope.message(),
        (None, None) => status.to_string(),
    };
    let (kind, remedy) = match code {
        "S403TE" => (ErrorKind::ClockSkew, Remedy::CorrectClock),
        "S403NU" => (ErrorKind::GatewayError, Remedy::SignAgain),
        "A400IK" | "A403IS" | "A403EP" | "I403AA" | "B403MQ" | "B403ME" => {
            (ErrorKind::Credentials, Remedy::Pause)
        }
        _ if code.starts_with("T429") => (ErrorKind::Throttled, Remedy::SlowDown(retry_after(headers))),
        _ => return by_status(status, headers, envelope).with_code(Some(code.into())),
    };
    fail(kind, remedy, message).with_code(Some(code.into()))
}

fn by_status(status: StatusCode, headers: &HeaderMap, envelope: Option<&Envelope>) -> CloudError {
    let theirs = text(headers, "x-ca-error-message").map(short);
    let message = envelope
        .map(Envelope::message)
        .or(theirs)
        .unwrap_or_else(|| format!("HTTP {status} without an answer that can be read"));
    let throttled = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::FORBIDDEN
            && (message.contains("Request Limited") || message.contains("Throttled by")));
    let denied = [
        "Invalid AppKey",
        "Invalid Signature",
        "App authorization expired",
        "Unauthorized",
        "Empty Signature",
    ];
    let (kind, remedy) = if throttled {
        (ErrorKind::Throttled, Remedy::SlowDown(retry_after(headers)))
    } else if message.contains("X-Ca-Timestamp") && status.is_client_error() {
        (ErrorKind::ClockSkew, Remedy::CorrectClock)
    } else if status == StatusCode::UNAUTHORIZED
        || (status.is_client_error() && denied.iter().any(|word| message.contains(word)))
    {
        (ErrorKind::Credentials, Remedy::Pause)
    } else if envelope.is_some() && status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT {
        (ErrorKind::GatewayRejected, Remedy::GiveUp)
    } else {
        (ErrorKind::GatewayError, Remedy::Later)
    };
    let code = envelope.map_or_else(|| status.as_u16().to_string(), |envelope| envelope.code.to_string());
    fail(kind, remedy, message).with_code(Some(code))
}

impl Envelope {
    /// Codes that only the API itself gives, whatever the HTTP status around them.
    fn is_business(&self) -> bool {
        matches!(self.code, 460 | 1009 | 20003 | 20004 | 20055 | 20056)
    }

    /// The message, and the localized one beside it, which is what a Chinese operator reads.
    fn message(&self) -> String {
        let message = self.message.as_deref().map(short).filter(|text| !text.is_empty());
        let localized = self.localized_msg.as_deref().map(short).filter(|text| !text.is_empty());
        match (message, localized) {
            (Some(message), Some(localized)) if message != localized => format!("{message} / {localized}"),
            (Some(message), _) => message,
            (None, Some(localized)) => localized,
            (None, None) => format!("the gateway gives code {} without a message", self.code),
        }
    }
}

/// One line of bounded length. The gateway adds its string to sign to "Invalid Signature"; that is for the
/// debug log.
fn short(text: &str) -> String {
    one_line(text.split(", Server StringToSign").next().unwrap_or_default(), LONGEST_MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> ClockReadings {
        ClockReadings { ours: "2026-01-01T00:00:00Z".parse().unwrap(), theirs: None }
    }

    fn ask(status: u16, headers: &[(&'static str, &str)], body: &str) -> Result<Grant, CloudError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        read(StatusCode::from_u16(status).unwrap(), &map, body.as_bytes(), "api.link.aliyun.com", now())
    }

    fn refused(status: u16, headers: &[(&'static str, &str)], body: &str) -> (ErrorKind, Remedy) {
        let error = ask(status, headers, body).unwrap_err();
        (error.failure.kind, error.remedy)
    }

    #[test]
    fn every_row_of_the_table() {
        use ErrorKind::{ClockSkew, Credentials, GatewayError, GatewayRejected, Throttled};
        let code = |code: i64| format!("{{\"code\":{code},\"message\":\"m\"}}");
        for status in [500, 502, 503, 504] {
            assert_eq!(refused(status, &[], ""), (GatewayError, Remedy::Later));
            assert_eq!(refused(status, &[], &code(i64::from(status))), (GatewayError, Remedy::Later));
        }
        let id = ("x-ca-request-id", "R1");
        assert_eq!(refused(200, &[id], "<html>"), (GatewayError, Remedy::Later));
        assert_eq!(refused(429, &[id], ""), (Throttled, Remedy::SlowDown(None)));
        for status in [200, 302, 401, 403, 404, 407, 429, 451] {
            assert_eq!(refused(status, &[], "<html>"), (ErrorKind::Network, Remedy::Later), "{status}");
        }
        let limited = r#"{"code":403,"message":"Request Limited"}"#;
        assert_eq!(refused(403, &[], limited), (Throttled, Remedy::SlowDown(None)));
        let wait = Remedy::SlowDown(Some(std::time::Duration::from_secs(7)));
        assert_eq!(
            refused(403, &[("x-ca-error-code", "T429FC"), ("retry-after", "7")], ""),
            (Throttled, wait)
        );
        assert_eq!(
            refused(401, &[], r#"{"code":401,"message":"Empty Signature"}"#),
            (Credentials, Remedy::Pause)
        );
        for code in ["A400IK", "A403IS", "A403EP", "I403AA", "B403MQ", "B403ME"] {
            assert_eq!(
                refused(403, &[("x-ca-error-code", code)], ""),
                (Credentials, Remedy::Pause),
                "{code}"
            );
        }
        assert_eq!(
            refused(403, &[("x-ca-error-message", "Invalid AppKey")], ""),
            (Credentials, Remedy::Pause)
        );
        assert_eq!(refused(403, &[("x-ca-error-code", "S403TE")], ""), (ClockSkew, Remedy::CorrectClock));
        assert_eq!(refused(403, &[("x-ca-error-code", "S403NU")], ""), (GatewayError, Remedy::SignAgain));
        assert_eq!(
            refused(400, &[], r#"{"code":400,"message":"Request Format Error"}"#),
            (GatewayRejected, Remedy::GiveUp)
        );
        for transient in [20003, 20004, 20056, 500, 1009] {
            assert_eq!(refused(200, &[], &code(transient)), (GatewayError, Remedy::Later), "{transient}");
        }
        for rejected in [20055, 403, 460] {
            assert_eq!(refused(200, &[], &code(rejected)), (GatewayRejected, Remedy::GiveUp), "{rejected}");
        }
        assert_eq!(refused(200, &[], &code(401)), (Credentials, Remedy::Pause));
        assert_eq!(refused(200, &[], &code(777)), (GatewayError, Remedy::FewTimes));
    }

    #[test]
    fn both_messages_the_code_and_the_request_are_kept() {
        let body = r#"{"code":460,"message":"request parameter error.","localizedMsg":"请求参数错误"}"#;
        let error = ask(200, &[("x-ca-request-id", "R1")], body).unwrap_err();
        assert_eq!(error.to_string(), "gateway_rejected [460]: request parameter error. / 请求参数错误");
        assert_eq!(error.failure.request_id.as_deref(), Some("R1"));
    }

    #[test]
    fn what_is_kept_of_an_answer_is_short() {
        let long = "x".repeat(8000);
        let headers =
            [("x-ca-error-code", &*long), ("x-ca-error-message", &long), ("x-ca-request-id", &long)];
        let body = format!(r#"{{"code":"777","message":"{long}","localizedMsg":"{long}y"}}"#);
        for (status, body) in [(403, ""), (500, &*body), (200, &body)] {
            let failure = ask(status, &headers, body).unwrap_err().failure;
            assert!(failure.code.unwrap().len() <= 80 && failure.request_id.unwrap().len() <= 80);
            assert!(failure.message.len() <= 603, "{}", failure.message);
        }
        let grant = ask(200, &[("x-ca-request-id", &long)], &data("2026-01-01T01:00:00Z")).unwrap();
        assert!(grant.request_id.unwrap().len() <= 80);
    }

    #[test]
    fn the_string_to_sign_is_not_in_the_message() {
        let headers = [
            ("x-ca-error-code", "A403IS"),
            ("x-ca-error-message", "Invalid Signature, Server StringToSign:`POST#`"),
        ];
        assert_eq!(ask(403, &headers, "").unwrap_err().failure.message, "Invalid Signature");
    }

    fn data(expiration: &str) -> String {
        format!(
            r#"{{"code":200,"data":{{"accessKeyId":"STS.x","accessKeySecret":"s3cret","securityToken":"t0ken",
            "endpoint":"oss-cn-hangzhou.aliyuncs.com","uploadUrl":"http://b.oss-cn-hangzhou.aliyuncs.com",
            "expiration":"{expiration}"}}}}"#
        )
    }

    #[test]
    fn an_answer_is_read_however_it_is_written() {
        let grant = data("2026-01-01T01:00:00Z");
        for code in ["200", "200.0", "\"200\"", "\" 200.00 \""] {
            let body = format!("\u{feff}{}", grant.replace("200", code));
            assert!(ask(200, &[], &body).is_ok(), "{body}");
        }
        let error_of = |body: &str| ask(200, &[], body).unwrap_err().to_string();
        assert_eq!(error_of(r#"{"code":460.0,"message":7}"#), "gateway_rejected [460]: 7");
        assert_eq!(
            error_of(r#"{"code":"460","message":null,"localizedMsg":true}"#),
            "gateway_rejected [460]: true"
        );
        for bad in [r#"{"code":200.5}"#, r#"{"code":"two"}"#, r#"{"code":null}"#, r#"{"code":1e99}"#] {
            assert_eq!(
                refused(200, &[("x-ca-request-id", "R1")], bad),
                (ErrorKind::GatewayError, Remedy::Later)
            );
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(status in 100u16..600, body: Vec<u8>, code in "[ -~]{0,8}") {
            let mut headers = HeaderMap::new();
            headers.insert("x-ca-error-code", code.parse().unwrap());
            let status = StatusCode::from_u16(status).unwrap();
            let _ = read(status, &headers, &body, "h", now());
            let _ = read(status, &HeaderMap::new(), &body, "h", now());
        }
    }
}
