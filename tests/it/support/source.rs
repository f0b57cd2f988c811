//! Our own source, for tests that compare it with what else says the same.

use std::fs;
use std::path::{Path, PathBuf};

/// All Rust files in a folder, but for tests.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|suffix| suffix == "rs") && name != "tests.rs" {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The texts in quotation marks of a source, as the program has them: those of tests, of the log, of attributes and of
/// checks left out.
pub fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let mut found = Vec::new();
    let mut code = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let start = line.trim_start();
        if start.starts_with("//")
            || (start.starts_with("#[") && !start.starts_with("#[error("))
            || start.starts_with("reason =")
        {
            continue;
        }
        if ["tracing::", "debug_assert!", "assert!"].iter().any(|call| start.starts_with(call)) {
            let mut last = line;
            while !last.trim_end().ends_with(';') && !last.trim_end().ends_with("),") {
                last = lines.next().unwrap_or(";");
            }
            continue;
        }
        code.push(line);
    }
    let code = code.join("\n");
    let mut rest = code.as_str();
    while let Some(at) = rest.find('"') {
        let before = &rest[..at];
        rest = &rest[at + 1..];
        // '"'
        if before.ends_with('\'') && rest.starts_with('\'') {
            continue;
        }
        let (text, behind) = quoted(rest);
        // the text of `tr!` has its Chinese beside it
        let is_none =
            before.ends_with('b') || before.ends_with(".expect(") || before.trim_end().ends_with("tr!(");
        if !is_none {
            found.push(text);
        }
        rest = behind;
    }
    found
}

/// The text up to the closing mark, and what is behind it.
fn quoted(source: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = source.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, &source[at + 1..]),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('\n') => {
                    let skipped = chars.as_str().len() - chars.as_str().trim_start().len();
                    if skipped > 0 {
                        chars.nth(skipped - 1);
                    }
                }
                Some('u') => {
                    let code: String =
                        chars.by_ref().map(|(_, c)| c).take_while(|c| *c != '}').skip(1).collect();
                    text.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
                }
                Some('n') => text.push('\n'),
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    (text, "")
}
