//! What OSS's answer means: by its XML code, then by the HTTP status.

use http::{HeaderMap, StatusCode};
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::cloud::error::{CloudError, LONGEST_MESSAGE, Remedy, Service};
use crate::cloud::headers::{name, retry_after, short_name};
use crate::cloud::target::Target;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::one_line;

/// Is it OSS's error? One may come under a status of success.
pub(super) fn is_error(body: &[u8]) -> bool {
    Xml::read(body).code.is_some()
}

/// Reads a refusal.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], target: &Target) -> CloudError {
    let error = Xml::read(body);
    let request_id = name(headers, "x-oss-request-id").or(error.request_id.as_deref().map(short_name));
    if error.code.is_none() && request_id.is_none() {
        return CloudError::intercepted(Service::Oss, target.host(), status, headers);
    }
    let (kind, remedy) = match error.code.as_deref() {
        Some(code) => by_code(code, status, headers),
        None => by_status(status, headers),
    };
    let (kind, remedy) = match (remedy, retry_after(headers)) {
        (Remedy::Later, wait @ Some(_)) => (ErrorKind::Throttled, Remedy::SlowDown(wait)),
        (remedy, _) => (kind, remedy),
    };
    let mut message = match (error.message, &error.code) {
        (Some(message), _) if !message.is_empty() => message,
        (_, Some(code)) => format!("OSS refuses the file: {code}"),
        _ => format!("HTTP {status} without an answer that can be read"),
    };
    if remedy == Remedy::FreshGrantOrGiveUp {
        message = format!("{message} ({})", target.signature());
    }
    let code = error.code.unwrap_or_else(|| status.as_u16().to_string());
    CloudError::new(Service::Oss, kind, remedy, message).with_code(Some(code)).with_request_id(request_id)
}

/// What a refusal of a presigned URL means: it was signed for another `Content-Type`, or its time is over before the
/// token's.
pub(super) fn in_url(error: CloudError, toggle_content_type: bool) -> CloudError {
    match error.failure.code.as_deref() {
        Some("SignatureDoesNotMatch") if !toggle_content_type => {
            CloudError { remedy: Remedy::ToggleContentType, ..error }
        }
        Some("AccessDenied") if error.failure.message.to_ascii_lowercase().contains("expired") => {
            let failure = Failure { kind: ErrorKind::OssError, ..error.failure };
            CloudError { failure, remedy: Remedy::FreshGrant, ..error }
        }
        _ => error,
    }
}

fn by_code(code: &str, status: StatusCode, headers: &HeaderMap) -> (ErrorKind, Remedy) {
    use ErrorKind::{ChecksumMismatch, ClockSkew, OssError, OssRejected, Throttled};
    match code {
        "SecurityTokenExpired"
        | "InvalidSecurityToken"
        | "InvalidAccessKeyId"
        | "AccessKeyIdAndSecurityTokenNotMatch" => (OssError, Remedy::FreshGrant),
        "RequestTimeTooSkewed" => (ClockSkew, Remedy::CorrectClock),
        "SignatureDoesNotMatch" => (OssRejected, Remedy::FreshGrantOrGiveUp),
        "InvalidDigest" | "BadDigest" => (ChecksumMismatch, Remedy::Later),
        "RequestTimeout" | "ConnectionTimeout" | "InternalError" | "ServiceUnavailable" => {
            (OssError, Remedy::Later)
        }
        "TooManyRequests" | "QpsLimitExceeded" | "DownloadTrafficRateLimitExceeded" => {
            (Throttled, Remedy::SlowDown(retry_after(headers)))
        }
        _ => by_status(status, headers),
    }
}

/// The only 4xx that pass by themselves; 407 is a proxy's. No other status says that the file is wrong: a redirect is
/// never followed, and an error may come under a status of success.
const PASSING: [StatusCode; 2] = [StatusCode::REQUEST_TIMEOUT, StatusCode::PROXY_AUTHENTICATION_REQUIRED];

fn by_status(status: StatusCode, headers: &HeaderMap) -> (ErrorKind, Remedy) {
    let wait = retry_after(headers);
    if status == StatusCode::TOO_MANY_REQUESTS || wait.is_some() {
        (ErrorKind::Throttled, Remedy::SlowDown(wait))
    } else if !status.is_client_error() || PASSING.contains(&status) {
        (ErrorKind::OssError, Remedy::Later)
    } else {
        (ErrorKind::OssRejected, Remedy::GiveUp)
    }
}

/// The parts of `<Error>` that count.
#[derive(Debug, Default, PartialEq, Eq)]
struct Xml {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

impl Xml {
    /// Whatever can be read; nothing when it is something else.
    fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let mut reader = Reader::from_str(&text);
        let mut path: Vec<String> = Vec::new();
        let mut error = Self::default();
        loop {
            match reader.read_event() {
                Ok(Event::Start(tag)) => path.push(tag.name().as_ref().to_owned()),
                Ok(Event::End(_)) => drop(path.pop()),
                Ok(Event::Text(text)) => error.take(&path, &text),
                Ok(Event::Eof) | Err(_) => return error,
                Ok(_) => {}
            }
        }
    }

    fn take(&mut self, path: &[String], text: &str) {
        let [root, name] = path else { return };
        let part = match (root.as_str(), name.as_str()) {
            ("Error", "Code") => &mut self.code,
            ("Error", "Message") => &mut self.message,
            ("Error", "RequestId") => &mut self.request_id,
            _ => return,
        };
        // it may come in any number of pieces
        let so_far = part.as_ref().map_or(0, |part| part.chars().count());
        let line = one_line(text, LONGEST_MESSAGE - so_far);
        if !line.is_empty() {
            part.get_or_insert_default().push_str(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::target::Signing;
    use proptest::prelude::*;

    fn target() -> Target {
        Target {
            url: "https://b.oss-cn-hangzhou.aliyuncs.com/k".parse().unwrap(),
            bucket: "b".into(),
            key: "k".into(),
            signing: Signing::V4("cn-hangzhou".into()),
            header_signing: None,
        }
    }

    fn refused(status: u16, code: &str) -> CloudError {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>why</Message><RequestId>R1</RequestId></Error>"
        );
        refusal(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), &target())
    }

    #[test]
    fn every_row_of_the_table() {
        use ErrorKind::{ChecksumMismatch, ClockSkew, OssError, OssRejected, Throttled};
        let table = [
            (403, "SecurityTokenExpired", OssError, Remedy::FreshGrant),
            (403, "InvalidSecurityToken", OssError, Remedy::FreshGrant),
            (403, "InvalidAccessKeyId", OssError, Remedy::FreshGrant),
            (403, "AccessKeyIdAndSecurityTokenNotMatch", OssError, Remedy::FreshGrant),
            (403, "RequestTimeTooSkewed", ClockSkew, Remedy::CorrectClock),
            (403, "SignatureDoesNotMatch", OssRejected, Remedy::FreshGrantOrGiveUp),
            (403, "AccessDenied", OssRejected, Remedy::GiveUp),
            (403, "InDebt", OssRejected, Remedy::GiveUp),
            (404, "NoSuchBucket", OssRejected, Remedy::GiveUp),
            (400, "EntityTooLarge", OssRejected, Remedy::GiveUp),
            (400, "InvalidDigest", ChecksumMismatch, Remedy::Later),
            (400, "BadDigest", ChecksumMismatch, Remedy::Later),
            (400, "RequestTimeout", OssError, Remedy::Later),
            (400, "ConnectionTimeout", OssError, Remedy::Later),
            (500, "InternalError", OssError, Remedy::Later),
            (503, "ServiceUnavailable", OssError, Remedy::Later),
            (503, "TooManyRequests", Throttled, Remedy::SlowDown(None)),
            (503, "QpsLimitExceeded", Throttled, Remedy::SlowDown(None)),
            (503, "DownloadTrafficRateLimitExceeded", Throttled, Remedy::SlowDown(None)),
            (429, "Whatever", Throttled, Remedy::SlowDown(None)),
        ];
        for (status, code, kind, remedy) in table {
            let error = refused(status, code);
            assert_eq!((error.failure.kind, error.remedy), (kind, remedy), "{code}");
            assert_eq!(error.failure.code.as_deref(), Some(code));
            assert_eq!(error.failure.request_id.as_deref(), Some("R1"));
        }
    }

    #[test]
    fn what_is_kept_of_an_answer_is_short() {
        let long = "<![CDATA[x]]>y\u{202e}&amp;".repeat(2000);
        let body = format!(
            "<Error><Code>{long}</Code><Message>{long}</Message><RequestId>{long}</RequestId></Error>"
        );
        let error = refusal(StatusCode::FORBIDDEN, &HeaderMap::new(), body.as_bytes(), &target());
        let (code, id) = (error.failure.code.unwrap(), error.failure.request_id.unwrap());
        assert!(code.len() <= 80 && id.len() <= 80, "{code} {id}");
        assert!(error.failure.message.len() <= 300 && !error.failure.message.contains('\u{202e}'));
    }

    #[test]
    fn without_xml_the_status_decides_what_oss_means_and_nothing_else_says_anything() {
        let ask = |status: u16, body: &[u8], id: bool| {
            let mut headers = HeaderMap::new();
            if id {
                headers.insert("x-oss-request-id", "R1".parse().unwrap());
            }
            let error = refusal(StatusCode::from_u16(status).unwrap(), &headers, body, &target());
            (error.failure.kind, error.remedy)
        };
        for body in [&b""[..], b"<html><body>proxy</body></html>", b"<Error><Code>", b"\xff\xfe"] {
            for status in [408, 502] {
                assert_eq!(ask(status, body, true), (ErrorKind::OssError, Remedy::Later));
                assert_eq!(ask(status, body, false), (ErrorKind::OssError, Remedy::Later));
            }
            assert_eq!(ask(403, body, true), (ErrorKind::OssRejected, Remedy::GiveUp));
            for status in [302, 403, 404, 407, 451] {
                assert_eq!(ask(status, body, false), (ErrorKind::Network, Remedy::Later));
            }
        }
    }

    #[test]
    fn a_bad_signature_says_which_one_was_used() {
        assert_eq!(
            refused(403, "SignatureDoesNotMatch").failure.message,
            "why (signature V4, region cn-hangzhou)"
        );
    }

    proptest! {
        #[test]
        fn no_answer_panics(status in 100u16..600, body: Vec<u8>) {
            let _ = refusal(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &body, &target());
        }

        #[test]
        fn no_xml_panics(body in "(<[A-Za-z/!?]*>|&[a-z]*;|<Error>|<Code>|</Code>|\\PC)*") {
            let _ = Xml::read(body.as_bytes());
        }
    }
}
