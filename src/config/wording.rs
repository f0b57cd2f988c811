//! What the parser says of a mistake, in words of people who do not know Rust.

/// Word processors and Chinese keyboards write other quotation marks than TOML has.
const QUOTES: [char; 8] = ['“', '”', '‘', '’', '「', '」', '＂', '＇'];

/// A mistake in the syntax; `before` and `rest` are the text up to there and from there on.
pub(super) fn of_syntax(message: &str, before: &str, rest: &str) -> String {
    if rest.trim_start().starts_with(QUOTES) {
        return "these quotation marks are no \" but those of a word processor: write the text as in \"text\"".into();
    }
    let key = rest.split([' ', '\t', '=', ']', '.']).next().unwrap_or_default();
    let stands = |line: &str| {
        let line = line.trim_start().trim_start_matches('[').trim_start();
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ']']))
    };
    let first = before.lines().enumerate().filter(|(_, line)| stands(line)).last();
    match first.filter(|_| message == "duplicate key" && !key.is_empty()) {
        Some((line, _)) => format!("`{key}` stands in line {} already; keep one of them", line + 1),
        None => message.to_owned(),
    }
}

/// A key that there is not, or a value of the wrong type.
pub(super) fn of_entry(message: &str) -> String {
    let (what, expected) = message.rsplit_once("expected ").unwrap_or((message, ""));
    let expected = match expected {
        "i64" => "a whole number, without quotes",
        "u32" | "u64" => "a whole number of 0 or more, without quotes",
        "a map" => "a section of its own, with lines as in \"name\" = \"value\"",
        other => other,
    };
    if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return format!("`{key}` is missing");
    }
    let Some(unknown) = what.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) else {
        return if expected.is_empty() { message.to_owned() } else { format!("{what}expected {expected}") };
    };
    let known = expected.split('`').skip(1).step_by(2);
    let nearest = known.map(|key| (strsim::osa_distance(key, unknown), key)).min();
    let text = format!("unknown key `{unknown}`, expected {expected}");
    match nearest {
        Some((..=2, key)) => format!("{text}; did you mean `{key}`?"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_mistyped_is_guessed() {
        let message = "unknown field `app_kye`, expected one of `url`, `app_id`, `app_key`";
        assert!(of_entry(message).ends_with("; did you mean `app_key`?"), "{}", of_entry(message));
        assert!(
            !of_entry("unknown field `colour`, expected one of `url`, `app_id`").contains("did you mean")
        );
    }
}
