//! Which module may use which: the table of docs/ARCHITECTURE.md, read off the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const RULES: [(&str, &[&str]); 15] = [
    ("domain", &[]),
    ("config", &["domain", "files"]),
    ("files", &["domain"]),
    ("fs_timeout", &[]),
    ("descriptors", &[]),
    ("metrics", &["domain"]),
    ("telemetry", &["config"]),
    ("ledger", &["domain", "config", "files", "telemetry"]),
    ("cloud", &["domain", "config"]),
    ("intake", &["domain", "config", "files", "ledger", "metrics", "telemetry", "fs_timeout"]),
    ("publish", &["domain", "config", "files", "ledger", "metrics", "telemetry", "fs_timeout", "cloud"]),
    ("alerts", &["domain", "config", "ledger", "telemetry", "cloud"]),
    (
        "web",
        &["domain", "config", "files", "ledger", "metrics", "fs_timeout", "descriptors", "intake", "publish"],
    ),
    ("cli", &["daemon", "config", "domain", "files", "ledger", "telemetry", "cloud", "intake"]),
    ("sim", &["domain"]),
];

fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_file() {
        found.push(path.into());
        return;
    }
    for entry in fs::read_dir(path).unwrap() {
        sources(&entry.unwrap().path(), found);
    }
}

fn used(text: &str) -> BTreeSet<String> {
    let names = text.match_indices("crate::").map(|(at, _)| &text[at + "crate::".len()..]);
    names
        .map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap().to_owned())
        .collect()
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (module, allowed) in RULES {
        let mut files = Vec::new();
        let path = src.join(module);
        sources(&if path.exists() { path } else { src.join(format!("{module}.rs")) }, &mut files);
        assert!(!files.is_empty(), "{module}");
        for file in files {
            for other in used(&fs::read_to_string(&file).unwrap()) {
                let fine = other == module || allowed.contains(&other.as_str());
                assert!(fine, "{} uses {other}, which {module} may not", file.display());
            }
        }
    }
}

#[test]
fn all_sql_is_in_the_ledger() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let outside: Vec<_> = files.iter().filter(|file| !file.starts_with(src.join("ledger"))).collect();
    assert!(outside.len() > 20);
    for file in outside {
        assert!(!fs::read_to_string(file).unwrap().contains("sqlx::"), "{}", file.display());
    }
}
