//! The small text forms both clouds share: percent-encoding, dates, hex, header text.

use http::HeaderMap;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// An object key keeps its slashes.
const KEY: &AsciiSet = &QUERY.remove(b'/');

const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";
const COMPACT_DATE: &str = "%Y%m%dT%H%M%SZ";

/// A query string taken apart and decoded, in the order it came. `None`: a name without `=`.
pub(crate) type Query = Vec<(String, Option<String>)>;

pub(crate) fn encode_query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

pub(crate) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, KEY).to_string()
}

/// `None` when the decoded bytes are no UTF-8: OSS keys are UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// A `+` stays a plus: OSS clients write a space as `%20`.
pub(crate) fn parse_query(raw: &str) -> Query {
    let pairs = raw.split('&').filter(|pair| !pair.is_empty());
    pairs.map(parse_pair).collect()
}

fn parse_pair(pair: &str) -> (String, Option<String>) {
    let plain = |text: &str| decode(text).unwrap_or_else(|| text.to_owned());
    match pair.split_once('=') {
        Some((name, value)) => (plain(name), Some(plain(value))),
        None => (plain(pair), None),
    }
}

pub(crate) fn query_value<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_deref())
}

/// A header's text. Not `to_str`: that refuses the UTF-8 that signed headers may carry.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).map(str::trim)
}

pub(crate) fn header_or_empty<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    header(headers, name).unwrap_or_default()
}

pub(crate) fn http_date(time: Timestamp) -> String {
    time.strftime(HTTP_DATE).to_string()
}

/// `20241114T120000Z`, as V4 writes it.
pub(crate) fn compact_date(time: Timestamp) -> String {
    time.strftime(COMPACT_DATE).to_string()
}

/// Whole seconds, as STS writes an expiration.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Either of the two forms in which a signed date may come.
pub(crate) fn parse_date(text: &str) -> Option<Timestamp> {
    let utc = |format| DateTime::strptime(format, text).ok()?.to_zoned(TimeZone::UTC).ok();
    utc(HTTP_DATE).or_else(|| utc(COMPACT_DATE)).map(|zoned| zoned.timestamp())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_survive_a_round_trip() {
        let time = Timestamp::from_second(1_731_585_600).unwrap();
        assert_eq!(http_date(time), "Thu, 14 Nov 2024 12:00:00 GMT");
        assert_eq!(parse_date(&http_date(time)), Some(time));
        assert_eq!(parse_date(&compact_date(time)), Some(time));
        assert_eq!(parse_date("yesterday"), None);
    }

    #[test]
    fn a_query_is_decoded_once() {
        let query = parse_query("a=1%2B2&flag&b=%253D");
        assert_eq!(query_value(&query, "a"), Some("1+2"));
        assert_eq!(query_value(&query, "b"), Some("%3D"));
        assert_eq!(query[1], ("flag".to_owned(), None));
    }
}
