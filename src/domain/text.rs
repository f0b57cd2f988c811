//! Bytes as text.

use std::ffi::OsStr;
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // writing into a String cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A name as text; bytes that are no UTF-8 are written `\xff`, so that two names stay two.
pub fn readable(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // a String takes everything
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Without the byte-order mark that some programs put before UTF-8.
pub fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// What no text from outside may bring to a terminal, a page or a log: control characters, line separators,
/// characters that turn the direction of writing, and those that cannot be seen (Unicode calls them default
/// ignorable: joiners, fillers, variation selectors, tags).
pub const HIDDEN: &[RangeInclusive<char>] = &[
    '\0'..='\u{1f}',
    '\u{7f}'..='\u{9f}',
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// Is it one of [`HIDDEN`]?
pub fn is_hidden(c: char) -> bool {
    // most text is ASCII
    if c.is_ascii() { c.is_ascii_control() } else { HIDDEN.iter().any(|range| range.contains(&c)) }
}

/// One line of at most `most` characters, without hidden ones: for words that come from elsewhere.
pub fn one_line(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).take(most).collect();
    line.trim().to_owned()
}

/// A name as it may be shown: hidden characters are written as in `\u{202e}`.
pub fn visible(text: &str) -> String {
    let show = |c: char| if is_hidden(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(show).collect()
}

/// A name or path from a disk as it may be shown; two of them stay two.
pub fn shown(name: &OsStr) -> String {
    visible(&readable(name))
}

/// The name of the file at `path`, as it may be shown.
pub fn file_name(path: &Path) -> String {
    shown(path.file_name().unwrap_or_default())
}

/// A text without a secret that it may repeat, or the beginning of it: texts are cut to a length.
pub fn without_secrets(text: &str, secrets: &[&str]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| without_secret(&text, secret))
}

/// As `without_secrets`, of one.
pub fn without_secret(text: &str, secret: &str) -> String {
    /// So much of a secret is enough to recognize it.
    const TELLING: usize = 8;
    let Some(start) = secret.get(..TELLING) else {
        return text.to_owned();
    };
    let (mut rest, mut kept) = (text, String::with_capacity(text.len()));
    while let Some(at) = rest.find(start) {
        kept.push_str(&rest[..at]);
        kept.push('…');
        let same = rest[at..].chars().zip(secret.chars()).take_while(|(a, b)| a == b);
        rest = &rest[at + same.map(|(c, _)| c.len_utf8()).sum::<usize>()..];
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_stay_apart_and_hide_nothing() {
        let name = |bytes: &[u8]| file_name(&Path::new("/inbox").join(OsStr::from_bytes(bytes)));
        assert_eq!([name(b"a\xff.jpg"), name(b"a\xfe.jpg")], ["a\\xff.jpg", "a\\xfe.jpg"]);
        assert_eq!(name("\u{202e}gpj.exe".as_bytes()), "\\u{202e}gpj.exe");
    }

    #[test]
    fn secrets_that_are_repeated_are_left_out_whole_and_cut_short() {
        let secret = "TOPSECRET-TOKEN-12345";
        for (text, without) in [
            ("invalid TOPSECRET-TOKEN-12345!", "invalid …!"),
            ("invalid TOPSECRET-TOK", "invalid …"),
            ("TOPSECRETTOPSECRET-TOKEN-12345", "……"),
            ("TOPSECR 中文", "TOPSECR 中文"),
        ] {
            assert_eq!(without_secret(text, secret), without);
        }
        assert_eq!(without_secret("short", "short"), "short");
    }

    #[test]
    fn bytes_become_two_digits_each() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }

    #[test]
    fn names_cannot_play_tricks() {
        assert_eq!(visible("a\nb\u{202e}gpj.exe图"), "a\\u{a}b\\u{202e}gpj.exe图");
        for hidden in ['\u{1b}', '\u{9b}', '\u{61c}', '\u{200d}', '\u{2069}', '\u{3164}', '\u{e0041}'] {
            assert!(
                is_hidden(hidden) && visible(&hidden.to_string()).is_ascii(),
                "{}",
                hidden.escape_unicode()
            );
        }
    }

    #[test]
    fn every_control_character_is_hidden_and_no_writing_is() {
        assert!(('\0'..=char::MAX).all(|c| !c.is_control() || is_hidden(c)));
        assert!("AZaz09 ._-÷éñ中文，。（）ー한글العربية😀\u{20000}".chars().all(|c| !is_hidden(c)));
        assert!(HIDDEN.windows(2).all(|pair| pair[0].end() < pair[1].start()), "in order, none twice");
    }

    #[test]
    fn foreign_words_stay_on_one_line() {
        assert_eq!(one_line(" a\nb\u{1b}[31m ", 4), "a b");
    }
}
