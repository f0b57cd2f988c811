//! The credentials in the gateway's answer. Several programs behind it write the same in their own ways: whatever can
//! be meant is read.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::fail;
use crate::cloud::credentials::{Grant, lasts};
use crate::cloud::error::{CloudError, Remedy};
use crate::cloud::presigned;
use crate::config::Secret;
use crate::domain::failure::ErrorKind;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    #[serde(deserialize_with = "in_one_piece")]
    access_key_id: Secret,
    #[serde(deserialize_with = "in_one_piece")]
    access_key_secret: Secret,
    #[serde(deserialize_with = "in_one_piece")]
    security_token: Secret,
    #[serde(deserialize_with = "in_one_piece")]
    endpoint: Secret,
    upload_url: Secret,
    expiration: Value,
}

/// None of these has a space or a line break in it, but some are written over several lines.
fn in_one_piece<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let text = Secret::deserialize(deserializer)?;
    Ok(text.expose().chars().filter(|c| !c.is_whitespace() && *c != '\u{feff}').collect::<String>().into())
}

/// What time it is: by our clock, and by the answer's `Date`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClockReadings {
    pub(super) ours: Timestamp,
    pub(super) theirs: Option<Timestamp>,
}

/// Reads `data`. A grant that is over by our clock and not by theirs is a good one.
///
/// # Errors
/// When a part is missing, cannot be sent on, or is over by both clocks.
pub(super) fn grant(data: Option<Value>, now: ClockReadings) -> Result<Grant, CloudError> {
    let unusable =
        |what: &str| fail(ErrorKind::GatewayError, Remedy::FewTimes, format!("the gateway's answer {what}"));
    // serde's own message would quote the answer, and that holds a secret
    let data = data.and_then(|data| serde_json::from_value::<Data>(data).ok());
    let data = data.ok_or_else(|| unusable("lacks a part of the credentials"))?;
    for (name, value) in [
        ("accessKeyId", &data.access_key_id),
        ("accessKeySecret", &data.access_key_secret),
        ("securityToken", &data.security_token),
    ] {
        if value.is_empty() {
            return Err(unusable(&format!("has an empty {name}")));
        }
        if !value.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable(&format!("has a {name} with characters that no credential has")));
        }
    }
    let expiration = moment(&data.expiration, now)
        .ok_or_else(|| unusable("has an expiration that is no time (RFC 3339, or milliseconds)"))?;
    if !lasts(expiration, now.ours) && !now.theirs.is_some_and(|theirs| lasts(expiration, theirs)) {
        // no file is to blame for it, so it is no answer of which a file has only a few
        return Err(CloudError { remedy: Remedy::Later, ..unusable(&too_soon(expiration, now)) });
    }
    Ok(Grant {
        access_key_id: data.access_key_id.expose().to_owned(),
        access_key_secret: data.access_key_secret,
        security_token: data.security_token,
        endpoint: data.endpoint.expose().to_owned(),
        url_ends: presigned::end(data.upload_url.expose().trim()),
        upload_url: data.upload_url.expose().trim().to_owned().into(),
        expiration,
        request_id: None,
    })
}

fn too_soon(expiration: Timestamp, now: ClockReadings) -> String {
    let clocks = match now.theirs {
        Some(theirs) => format!("it is {theirs} there and {:.0} here", now.ours),
        None => format!("it is {:.0} here, and the answer has no Date", now.ours),
    };
    format!(
        "grants credentials that end at {expiration}, too soon to be used: {clocks}; check this machine's clock (NTP)"
    )
}

/// RFC 3339, seconds or milliseconds since 1970, or a time without a zone. That one is UTC; when it can as well be
/// China's time, which ends earlier, this is the one that nothing depends on.
fn moment(value: &Value, now: ClockReadings) -> Option<Timestamp> {
    const CHINA: SignedDuration = SignedDuration::from_hours(8);
    /// As seconds, it is the year 5138; as milliseconds, 1973.
    const MILLISECONDS: i64 = 100_000_000_000;
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let whole = text.split_once('.').map_or(&*text, |(whole, _)| whole);
    if let Ok(number) = whole.parse::<i64>() {
        let time =
            if number.abs() < MILLISECONDS { Timestamp::from_second } else { Timestamp::from_millisecond };
        return time(number).ok();
    }
    let utc = text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let china = utc.checked_sub(CHINA).ok()?;
    Some(if lasts(china, now.theirs.unwrap_or(now.ours)) { china } else { utc })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn now() -> ClockReadings {
        ClockReadings { ours: NOW.parse().unwrap(), theirs: None }
    }

    fn data(expiration: &str) -> Value {
        json!({
            "accessKeyId": "STS.x", "accessKeySecret": "s3cret", "securityToken": "t0k\r\nen\n",
            "endpoint": "oss-cn-hangzhou.aliyuncs.com", "uploadUrl": "http://b.oss-cn-hangzhou.aliyuncs.com",
            "expiration": expiration,
        })
    }

    #[test]
    fn a_token_over_several_lines_is_one() {
        let grant = grant(Some(data("2026-01-01T01:00:00Z")), now()).unwrap();
        assert_eq!(grant.security_token.expose(), "t0ken");
        let shown = format!("{grant:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
    }

    #[test]
    fn what_cannot_be_meant_is_said_without_secrets() {
        for (name, value, words) in [
            ("securityToken", json!(" "), "empty securityToken"),
            ("accessKeySecret", json!("s3crét"), "accessKeySecret with characters"),
            ("accessKeyId", json!(7), "lacks a part"),
            ("expiration", json!("soon"), "no time"),
            ("expiration", json!(null), "no time"),
            ("expiration", json!("2020-01-01T00:00:00Z"), "it is 2026-01-01T00:00:00Z here"),
            ("expiration", json!("2026-01-01T00:00:30Z"), "too soon"),
        ] {
            let mut data = data("2026-01-01T01:00:00Z");
            data[name] = value;
            let error = grant(Some(data), now()).unwrap_err();
            assert_eq!(error.failure.kind, ErrorKind::GatewayError);
            assert!(error.failure.message.contains(words), "{error}");
            assert!(!error.to_string().contains("s3cr"), "{error}");
        }
        assert!(grant(None, now()).is_err());
    }

    #[test]
    fn what_is_over_here_only_is_no_reason_to_refuse() {
        let fast = ClockReadings { ours: "2026-01-01T00:14:05Z".parse().unwrap(), theirs: NOW.parse().ok() };
        grant(Some(data("2026-01-01T00:15:00Z")), fast).unwrap();
        let error = grant(Some(data("2025-12-31T23:15:00Z")), fast).unwrap_err();
        assert_eq!(error.remedy, Remedy::Later);
    }

    #[test]
    fn times_without_a_zone_are_utc_or_chinas() {
        for (text, expected) in [
            ("2026-01-01 01:00:00", "2026-01-01T01:00:00Z"),
            ("2026-01-01T09:00:00", "2026-01-01T01:00:00Z"),
            ("2026-01-01T09:00:00+08:00", "2026-01-01T01:00:00Z"),
            ("1767229200", "2026-01-01T01:00:00Z"),
            ("1767229200000", "2026-01-01T01:00:00Z"),
            ("1767229200000.0", "2026-01-01T01:00:00Z"),
        ] {
            assert_eq!(moment(&json!(text), now()), expected.parse().ok(), "{text}");
        }
    }
}
