//! URLs that carry a signature: how to tell, and when it ends.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use url::Url;

/// A presigned URL is used exactly as it is, but for the scheme.
pub(super) fn carries_signature(url: &Url) -> bool {
    let has = |name: &str| value(url, name).is_some();
    (has("Signature") && has("OSSAccessKeyId")) || has("x-oss-signature")
}

/// When the signature ends; nothing, when there is none or it does not say.
pub(super) fn end(url: &str) -> Option<Timestamp> {
    let url = Url::parse(url).ok().filter(carries_signature)?;
    let number = |name| value(&url, name)?.parse::<i64>().ok();
    if let Some(date) = value(&url, "x-oss-date") {
        let signed = DateTime::strptime("%Y%m%dT%H%M%SZ", &date).ok()?.to_zoned(TimeZone::UTC).ok()?;
        let life = SignedDuration::from_secs(number("x-oss-expires")?);
        return signed.timestamp().checked_add(life).ok();
    }
    // V1, V2
    Timestamp::from_second(number("Expires").or_else(|| number("x-oss-expires"))?).ok()
}

fn value(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_versions_say_when_they_end() {
        let v1 = "https://b.x/k?OSSAccessKeyId=i&Expires=1731585600&Signature=s";
        let v2 = "https://b.x/k?x-oss-signature-version=OSS2&x-oss-expires=1731585600&x-oss-signature=s";
        let v4 = "https://b.x/k?x-oss-date=20241114T115500Z&x-oss-expires=300&x-oss-signature=s";
        for url in [v1, v2, v4] {
            assert_eq!(end(url), "2024-11-14T12:00:00Z".parse().ok(), "{url}");
        }
        for url in [
            "",
            "https://b.x/k",
            "https://b.x/k?Expires=1731585600",
            "https://b.x/k?OSSAccessKeyId=i&Expires=soon&Signature=s",
            "https://b.x/k?x-oss-date=today&x-oss-expires=300&x-oss-signature=s",
            "https://b.x/k?x-oss-date=20241114T115500Z&x-oss-expires=99999999999999&x-oss-signature=s",
        ] {
            assert_eq!(end(url), None, "{url}");
        }
    }
}
