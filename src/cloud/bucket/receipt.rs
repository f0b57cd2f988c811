//! Did the bytes arrive? By the checksums of the answer to the PUT, or of the object that is in its way.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, StatusCode};

use super::Receipt;
use super::answer;
use crate::cloud::error::{CloudError, Remedy, Service};
use crate::cloud::headers::{name, short_name, text};
use crate::cloud::target::Target;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::hex;
use crate::domain::upload::Digests;

/// Did our bytes arrive? The CRC-64 decides where it is there: with server-side encryption, or behind a CDN, an
/// `ETag` is no MD5. Where it is not, the `ETag` decides.
///
/// # Errors
/// `checksum_mismatch`, or an outage when the answer is not OSS's.
pub(super) fn receipt(
    status: StatusCode,
    headers: &HeaderMap,
    digests: &Digests,
    host: &str,
) -> Result<Receipt, CloudError> {
    let request_id = name(headers, "x-oss-request-id");
    let (etag, expected) = (etag(headers), md5_hex(digests));
    let what = match (text(headers, "x-oss-hash-crc64ecma"), etag) {
        (Some(crc), etag) if crc.trim().parse() == Ok(digests.crc64) => {
            return Ok(Receipt { etag: etag.unwrap_or(expected), request_id });
        }
        (None, Some(etag)) if etag.eq_ignore_ascii_case(&expected) => {
            return Ok(Receipt { etag, request_id });
        }
        (Some(crc), _) => {
            let crc = short_name(crc);
            format!("OSS has other bytes than the file: CRC-64 {crc} instead of {}", digests.crc64)
        }
        _ if request_id.is_none() => {
            return Err(CloudError::intercepted(Service::Oss, host, status, headers));
        }
        (None, Some(etag)) => format!(
            "the answer has no CRC-64, and its ETag {etag} is not the file's MD5 {expected}: nobody knows what \
             arrived; see what removes x-oss-hash-crc64ecma between here and {host}"
        ),
        (None, None) => format!(
            "the answer has no checksum, neither x-oss-hash-crc64ecma nor ETag: nobody knows what arrived; see \
             what removes them between here and {host}"
        ),
    };
    Err(CloudError::new(Service::Oss, ErrorKind::ChecksumMismatch, Remedy::Later, what)
        .with_request_id(request_id)
        .perhaps_sent())
}

/// Without quotes, and without the mark of a weak one.
fn etag(headers: &HeaderMap) -> Option<String> {
    let etag = text(headers, "etag")?.trim();
    let etag = short_name(etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"'));
    (!etag.is_empty()).then_some(etag)
}

fn md5_hex(digests: &Digests) -> String {
    hex(&BASE64.decode(&digests.md5).unwrap_or_default()).to_ascii_uppercase()
}

/// Is there an object that may not be replaced?
pub(super) fn forbids_overwriting(error: &CloudError) -> bool {
    matches!(error.failure.code.as_deref(), Some("FileAlreadyExists" | "FileImmutable"))
}

/// Why an object that is in the way cannot be distinguished from ours.
pub(super) const UNKNOWN_OBJECT: &str = "OSS does not tell which one";
const ANOTHER_OBJECT: &str = "it is another one than this file";

/// The refusal of a file whose object is there, and may not be replaced.
pub(super) fn in_the_way(refusal: CloudError, which: &str) -> CloudError {
    let message = format!(
        "{} An object is there and the bucket forbids overwriting; {which}. If the slot was filled by other means, \
         keep it free with `brandpost reserve`; else delete the object",
        refusal.failure.message
    );
    let failure = Failure { kind: ErrorKind::OssRejected, message, ..refusal.failure };
    CloudError { failure, remedy: Remedy::GiveUp, sent: false, ..refusal }
}

/// What the HEAD of the object in the way says: it is ours, or it is not, or nobody knows now.
///
/// # Errors
/// With what follows for the file.
pub(super) fn existing(
    status: StatusCode,
    headers: &HeaderMap,
    digests: &Digests,
    target: &Target,
    refusal: CloudError,
) -> Result<Receipt, CloudError> {
    if status.is_success() {
        return receipt(status, headers, digests, target.host()).map_err(|error| match error.failure.kind {
            ErrorKind::ChecksumMismatch => in_the_way(refusal, ANOTHER_OBJECT),
            _ => error,
        });
    }
    let error = answer::refusal(status, headers, b"", target);
    Err(match error.remedy {
        // it is gone again, so the next PUT succeeds
        _ if status == StatusCode::NOT_FOUND => CloudError { remedy: Remedy::Later, ..refusal },
        Remedy::GiveUp => in_the_way(refusal, UNKNOWN_OBJECT),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests() -> Digests {
        Digests { sha256: String::new(), md5: "1B2M2Y8AsgTpgAmY7PhCfg==".into(), crc64: 7 }
    }

    fn receipt_of(pairs: &[(&'static str, &str)]) -> Result<Receipt, CloudError> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        receipt(StatusCode::OK, &headers, &digests(), "b.oss-cn-hangzhou.aliyuncs.com")
    }

    #[test]
    fn the_crc_decides_and_the_etag_only_without_it() {
        let etag = ("etag", "\"D41D8CD98F00B204E9800998ECF8427E\"");
        let (id, crc, other) =
            (("x-oss-request-id", "R1"), ("x-oss-hash-crc64ecma", "7"), ("etag", "\"00\""));
        assert_eq!(receipt_of(&[etag, crc]).unwrap().etag, "D41D8CD98F00B204E9800998ECF8427E");
        assert_eq!(receipt_of(&[other, crc]).unwrap().etag, "00");
        assert_eq!(receipt_of(&[crc]).unwrap().etag, "D41D8CD98F00B204E9800998ECF8427E");
        for same in ["d41d8cd98f00b204e9800998ecf8427e", "W/\"D41D8CD98F00B204E9800998ECF8427E\""] {
            receipt_of(&[("etag", same)]).unwrap();
        }
        let wrong = ("x-oss-hash-crc64ecma", "8");
        for wrong in [&[id, other][..], &[id, etag, wrong], &[etag, wrong], &[id, ("etag", "\"\"")], &[id]] {
            let error = receipt_of(wrong).unwrap_err();
            assert_eq!(error.failure.kind, ErrorKind::ChecksumMismatch, "{wrong:?}");
            assert!(error.sent && error.is_outage(), "{wrong:?}");
        }
        for page in [&[][..], &[other], &[("server", "a portal")]] {
            assert_eq!(receipt_of(page).unwrap_err().failure.kind, ErrorKind::Network, "{page:?}");
        }
    }

    #[test]
    fn what_is_kept_of_an_answer_is_short() {
        let long = "x".repeat(8000);
        let etag = ("etag", &*long);
        let error = receipt_of(&[etag, ("x-oss-request-id", &long)]).unwrap_err();
        assert!(error.failure.message.len() < 400 && error.failure.request_id.unwrap().len() <= 80);
        let error = receipt_of(&[etag, ("x-oss-hash-crc64ecma", &long)]).unwrap_err();
        assert!(error.failure.message.len() < 300);
        let receipt =
            receipt_of(&[etag, ("x-oss-hash-crc64ecma", "7"), ("x-oss-request-id", &long)]).unwrap();
        assert!(receipt.etag.len() <= 80 && receipt.request_id.unwrap().len() <= 80);
    }
}
