//! Every text of a failure, a notice or an error has its Chinese, and every Chinese one its text: the source is read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use brandpost::domain::texts::patterns;

use crate::support::source::{literals, rust_files};

/// Files whose texts are all read by people, beside the crate `pictures` and the configuration: they are found by what
/// they call.
const MAKERS: [&str; 14] = [
    // errors that end a command
    "#[error(",
    "bail!(",
    "with_context(",
    "found.wrong",
    "ApiError",
    "LedgerError::Open {",
    "Result<(), String>",
    // details of failures and notices
    "Failure::new(",
    "CloudError::new(",
    "use super::fail;",
    "file_error = Some(",
    "unrecognized.push(",
    ".set_notice(",
    ".write_notice(",
];

/// What is found in those files and is no detail.
const OTHERS: &[&str] = &[
    // what a TLS library and a proxy say, by which they are told
    "certificate expired",
    "not valid yet",
    "proxy authorization required",
    // put into brackets behind what OSS says
    "signature V4, region {}",
    "the signature in the gateway's uploadUrl",
    // what the gateway says, and what is wrong with a number
    "App authorization expired",
    "no number",
    // of a database, for the log, and in the database
    "it is damaged, and cannot be put aside: {}",
    "the new database cannot be written out",
    "a daemon has worked with the database beside this file\n",
    "COMMENT ON SCHEMA brandpost IS 'what brandpost knows of brands and their pictures'",
    // of folders that are watched, for the log
    "not watched by inotify",
    "too many are watched: sysctl fs.inotify.max_user_watches",
    "it is the same folder as another one of the configuration",
    "it is not there",
    // what the parser of the configuration says, by which it is told
    "unknown field",
    "unknown field `",
    "duplicate key",
    "missing field `",
    "expected a sequence",
    // what a word is, in an error that its reader replaces
    "topic of alerts",
    // help, and an error of the standard library
    "The configuration file [default: $BRANDPOST_CONFIG, ./config.toml, /etc/brandpost/config.toml]",
    "failed printing to stdout",
    // of a reload, for the log and systemd
    "the new configuration is refused, the old one stays: {}",
    "the new configuration is refused: {}",
    "http.listen = \"{}\" cannot be used; choose another port (an address on the same port needs a restart)",
];

fn normal(literal: &str) -> String {
    let mut text = String::new();
    let mut rest = literal;
    while let Some((before, behind)) = rest.split_once('{') {
        text += before;
        text += "{}";
        rest = behind.split_once('}').map_or("", |(_, behind)| behind);
    }
    text + rest
}

/// Two words of lower-case letters, side by side: names and formats have none.
fn is_prose(text: &str) -> bool {
    if ["INSERT INTO", "SELECT ", "UPDATE ", "DELETE "].iter().any(|sql| text.contains(sql)) {
        return false;
    }
    // it is Chinese itself
    if text.contains(|c: char| ('\u{4e00}'..='\u{9fff}').contains(&c)) {
        return false;
    }
    let words: Vec<_> = text.split(' ').collect();
    let is_word = |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.windows(2).any(|pair| is_word(pair[0]) && (is_word(pair[1]) || pair[1].contains(',')))
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn texts(files: impl IntoIterator<Item = PathBuf>) -> BTreeSet<(PathBuf, String)> {
    let read = |file: PathBuf| {
        let source = std::fs::read_to_string(&file).unwrap();
        literals(&source).into_iter().map(move |literal| (file.clone(), normal(&literal)))
    };
    files.into_iter().flat_map(read).collect()
}

#[test]
fn every_detail_has_its_chinese() {
    let ours = rust_files(&here().join("src")).into_iter().filter(|file| {
        let source = std::fs::read_to_string(file).unwrap();
        file.starts_with(here().join("src/config")) || MAKERS.iter().any(|maker| source.contains(maker))
    });
    let files: Vec<_> = rust_files(&here().join("crates/pictures/src")).into_iter().chain(ours).collect();
    assert!(files.len() > 30, "{files:?}");
    let sources: Vec<_> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    for maker in MAKERS {
        assert!(sources.iter().any(|source| source.contains(maker)), "nothing is made by {maker}");
    }
    let known: BTreeSet<_> = patterns().map(|(english, _)| english).collect();
    let missing: Vec<_> = texts(files)
        .into_iter()
        .filter(|(_, text)| {
            is_prose(text) && !known.contains(text.as_str()) && !OTHERS.contains(&text.as_str())
        })
        .collect();
    assert!(missing.is_empty(), "put them into src/domain/texts, with their Chinese: {missing:#?}");
}

#[test]
fn every_chinese_detail_is_of_a_text_that_there_is() {
    let folders = ["src", "crates/pictures/src"].map(|folder| rust_files(&here().join(folder)));
    let files =
        folders.into_iter().flatten().filter(|file| !file.starts_with(here().join("src/domain/texts")));
    let there: BTreeSet<_> = texts(files).into_iter().map(|(_, text)| text).collect();
    let stale: Vec<_> =
        patterns().map(|(english, _)| english).filter(|english| !there.contains(*english)).collect();
    assert!(stale.is_empty(), "no source says these any more: {stale:#?}");
}
