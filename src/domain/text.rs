//! Bytes as text.

use std::fmt::Write;

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // writing into a String cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Without the byte-order mark that some programs put before UTF-8.
pub fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// One line of at most `most` characters, without control characters: for words that come from elsewhere.
pub fn one_line(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    line.trim().to_owned()
}

/// A name as it may be shown: control characters, line breaks, characters that turn the direction of
/// writing and those that cannot be seen are escaped.
pub fn visible(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let show = |c: char| {
        if c.is_control() || turns(c) { c.escape_unicode().to_string() } else { c.to_string() }
    };
    text.chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_two_digits_each() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }

    #[test]
    fn names_cannot_play_tricks() {
        assert_eq!(visible("a\nb\u{202e}gpj.exe图"), "a\\u{a}b\\u{202e}gpj.exe图");
    }

    #[test]
    fn foreign_words_stay_on_one_line() {
        assert_eq!(one_line(" a\nb\u{1b}[31m ", 4), "a b");
    }
}
