//! What the headers of an answer say.

use std::time::Duration;

use http::HeaderMap;

use crate::domain::text::one_line;

/// A name or a checksum of its answers, at so many.
const LONGEST_NAME: usize = 80;

/// The longest `Retry-After` that is believed.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// A header's text; one that is empty says nothing.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}

/// A header's text that names something, such as the id of the request.
pub(super) fn name(headers: &HeaderMap, name: &str) -> Option<String> {
    text(headers, name).map(short_name)
}

/// `Retry-After`, in seconds or as a date (counted from the answer's own), at most an hour.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let wanted = text(headers, "retry-after")?.trim();
    let time = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp().as_second());
    let seconds = match (wanted.parse::<u64>(), time(wanted), text(headers, "date").and_then(time)) {
        (Ok(seconds), ..) => seconds,
        (_, Some(until), Some(now)) => u64::try_from(until - now).unwrap_or_default(),
        _ => return None,
    };
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// A code, an id, a checksum: no name that means anything is longer.
pub(super) fn short_name(text: &str) -> String {
    one_line(text, LONGEST_NAME)
}
