//! What OSS's answer means: by its XML code, then by the HTTP status.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, StatusCode};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::Receipt;
use crate::cloud::client::{retry_after, text};
use crate::cloud::error::{CloudError, LONGEST_MESSAGE, Remedy, Service};
use crate::cloud::target::Target;
use crate::domain::failure::ErrorKind;
use crate::domain::text::{hex, one_line};
use crate::domain::upload::Digests;

/// Compares the checksums of the answer with ours. OSS always sends both; a server that sends one is believed,
/// one that sends none is not.
///
/// # Errors
/// `checksum_mismatch`.
pub(super) fn receipt(headers: &HeaderMap, digests: &Digests) -> Result<Receipt, CloudError> {
    let request_id = text(headers, "x-oss-request-id").map(str::to_owned);
    let etag = text(headers, "etag").map(|etag| etag.trim_matches('"').to_owned());
    let crc64 = text(headers, "x-oss-hash-crc64ecma");
    let expected = md5_hex(digests);
    let wrong = |what: String| {
        let message = format!("OSS has other bytes than the file: {what}");
        CloudError::new(Service::Oss, ErrorKind::ChecksumMismatch, Remedy::Later, message)
            .with_request_id(request_id.clone())
            .perhaps_sent()
    };
    if let Some(crc) = crc64.filter(|crc| **crc != digests.crc64.to_string()) {
        return Err(wrong(format!("CRC-64 {crc} instead of {}", digests.crc64)));
    }
    match etag {
        Some(etag) if etag.eq_ignore_ascii_case(&expected) => Ok(Receipt { etag, request_id }),
        Some(etag) => Err(wrong(format!("ETag {etag} instead of {expected}"))),
        None if crc64.is_some() => Ok(Receipt { etag: expected, request_id }),
        None => Err(wrong("the answer has neither ETag nor CRC-64".into())),
    }
}

fn md5_hex(digests: &Digests) -> String {
    hex(&BASE64.decode(&digests.md5).unwrap_or_default()).to_ascii_uppercase()
}

/// Reads a refusal.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], target: &Target) -> CloudError {
    let error = Xml::read(body);
    let request_id = text(headers, "x-oss-request-id").map(str::to_owned).or(error.request_id);
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

fn by_code(code: &str, status: StatusCode, headers: &HeaderMap) -> (ErrorKind, Remedy) {
    use ErrorKind::{ChecksumMismatch, ClockSkew, OssError, OssRejected, Throttled};
    match code {
        "SecurityTokenExpired"
        | "InvalidSecurityToken"
        | "InvalidAccessKeyId"
        | "AccessKeyIdAndSecurityTokenNotMatch" => (OssError, Remedy::FreshGrant),
        "RequestTimeTooSkewed" => (ClockSkew, Remedy::PutClockRight),
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

/// The only 4xx that pass by themselves; 407 is a proxy's. A redirect is never followed: it is somebody
/// between us and OSS.
const PASSING: [StatusCode; 2] = [StatusCode::REQUEST_TIMEOUT, StatusCode::PROXY_AUTHENTICATION_REQUIRED];

fn by_status(status: StatusCode, headers: &HeaderMap) -> (ErrorKind, Remedy) {
    let wait = retry_after(headers);
    if status == StatusCode::TOO_MANY_REQUESTS || wait.is_some() {
        (ErrorKind::Throttled, Remedy::SlowDown(wait))
    } else if status.is_server_error() || status.is_redirection() || PASSING.contains(&status) {
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
        let line = one_line(text, LONGEST_MESSAGE);
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
            (403, "RequestTimeTooSkewed", ClockSkew, Remedy::PutClockRight),
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
    fn without_xml_the_status_decides() {
        let ask = |status: u16, body: &[u8]| {
            let error = refusal(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body, &target());
            (error.failure.kind, error.remedy)
        };
        for body in [&b""[..], b"<html><body>proxy</body></html>", b"<Error><Code>", b"\xff\xfe"] {
            assert_eq!(ask(502, body), (ErrorKind::OssError, Remedy::Later));
            assert_eq!(ask(408, body), (ErrorKind::OssError, Remedy::Later));
            assert_eq!(ask(403, body), (ErrorKind::OssRejected, Remedy::GiveUp));
        }
    }

    #[test]
    fn a_bad_signature_says_which_one_was_used() {
        assert_eq!(
            refused(403, "SignatureDoesNotMatch").failure.message,
            "why (signature V4, region cn-hangzhou)"
        );
    }

    fn digests() -> Digests {
        Digests { sha256: String::new(), md5: "1B2M2Y8AsgTpgAmY7PhCfg==".into(), crc64: 7 }
    }

    fn receipt_of(pairs: &[(&'static str, &str)]) -> Result<Receipt, CloudError> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        receipt(&headers, &digests())
    }

    #[test]
    fn both_checksums_are_compared() {
        let etag = ("etag", "\"D41D8CD98F00B204E9800998ECF8427E\"");
        let crc = ("x-oss-hash-crc64ecma", "7");
        assert_eq!(receipt_of(&[etag, crc]).unwrap().etag, "D41D8CD98F00B204E9800998ECF8427E");
        receipt_of(&[("etag", "d41d8cd98f00b204e9800998ecf8427e"), crc]).unwrap();
        for wrong in [&[("etag", "\"00\""), crc][..], &[etag, ("x-oss-hash-crc64ecma", "8")], &[]] {
            assert_eq!(receipt_of(wrong).unwrap_err().failure.kind, ErrorKind::ChecksumMismatch);
        }
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
