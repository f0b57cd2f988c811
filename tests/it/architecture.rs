//! Which module may use which: the table of docs/ARCHITECTURE.md, read off the source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use brandpost::domain::failure::ErrorKind;
use brandpost::domain::upload::State;

/// What a row of the table calls by other words than modules.
const WORDS: [(&str, &[&str]); 4] = [
    ("nothing of ours", &[]),
    ("all but cli", &["*"]),
    ("progress of both", &["intake", "publish"]),
    ("intake's backlog (what waits in folders) and checks", &["intake"]),
];

/// Module and those that it may use, as the code map says.
fn code_map() -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `crates/"));
    let map: BTreeMap<_, _> = rows
        .map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let module = cells[0].trim_matches('`').to_owned();
            (module, cells.last().unwrap().split(", ").flat_map(meant).collect())
        })
        .collect();
    assert!(map.len() >= 15, "{map:?}");
    map
}

fn meant(cell: &str) -> Vec<String> {
    let known = WORDS.iter().find(|(words, _)| cell.starts_with(words));
    match known {
        Some((_, modules)) => modules.iter().map(ToString::to_string).collect(),
        None => vec![cell.split(':').next().unwrap().trim_end_matches(" only").to_owned()],
    }
}

/// The source folders of all our crates.
fn crates() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let below = fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let all: Vec<_> = below.chain([root.to_owned()]).map(|path| path.join("src")).collect();
    assert!(all.len() >= 4, "{all:?}");
    all
}

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

/// What is not in the table would be free of its rules.
#[test]
fn every_module_is_in_the_code_map() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let declared = lib.lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
    let declared: BTreeSet<_> = declared.map(ToOwned::to_owned).collect();
    assert!(declared.len() >= 15);
    assert_eq!(code_map().into_keys().collect::<BTreeSet<_>>(), declared);
}

#[test]
fn modules_use_only_what_the_code_map_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (module, allowed) in code_map() {
        let mut files = Vec::new();
        let path = src.join(&module);
        sources(&if path.exists() { path } else { src.join(format!("{module}.rs")) }, &mut files);
        assert!(!files.is_empty(), "{module}");
        for file in files {
            for other in used(&fs::read_to_string(&file).unwrap()) {
                let fine = other == module || allowed.contains(&other) || allowed.contains("*");
                assert!(fine, "{} uses {other}, which {module} may not", file.display());
            }
        }
    }
}

/// A crate below ours is one of its own: Cargo lets it use only what its manifest names.
#[test]
fn the_crates_below_depend_on_nothing_of_ours() {
    for folder in
        crates().iter().filter(|folder| folder.starts_with(concat!(env!("CARGO_MANIFEST_DIR"), "/crates")))
    {
        let manifest = fs::read_to_string(folder.with_file_name("Cargo.toml")).unwrap();
        let lines: Vec<_> = manifest.lines().filter(|line| line.contains("path = \"..")).collect();
        assert!(lines.is_empty(), "{}: {lines:?}", folder.display());
    }
}

/// The siblings that a file uses, by `super::name`; those of its tests are no matter.
fn siblings(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let names = code.match_indices("use super::").flat_map(|(at, _)| {
        let rest = &code[at + "use super::".len()..];
        let list = rest.split(';').next().unwrap().trim_start_matches('{').to_owned();
        list.split(',').map(|name| first_word(name.trim())).collect::<Vec<_>>()
    });
    let paths = code.match_indices("super::").map(|(at, _)| first_word(&code[at + "super::".len()..]));
    names.chain(paths).filter(|name| name != "super" && name != "self").collect()
}

fn first_word(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_')
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut folders = crates();
    let mut checked = 0;
    while let Some(folder) = folders.pop() {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs")
                && !["mod", "lib", "main"].contains(&name.as_str())
            {
                uses.insert(name, siblings(&path));
            }
        }
        checked += uses.len();
        for start in uses.keys() {
            let (mut reached, mut next) = (BTreeSet::new(), vec![start.clone()]);
            while let Some(name) = next.pop() {
                let others = uses.get(&name).into_iter().flatten().filter(|other| uses.contains_key(*other));
                next.extend(
                    others.filter(|other| reached.insert((*other).clone())).cloned().collect::<Vec<_>>(),
                );
            }
            assert!(
                !reached.contains(start),
                "{}/{start}.rs uses itself by way of its siblings",
                folder.display()
            );
        }
    }
    assert!(checked > 100, "{checked}");
}

/// Those of functions are counted by clippy (`too_many_lines`).
#[test]
fn no_file_is_longer_than_400_lines() {
    let mut files = Vec::new();
    for folder in crates() {
        sources(&folder, &mut files);
    }
    let rust: Vec<_> = files.iter().filter(|file| file.extension().is_some_and(|end| end == "rs")).collect();
    assert!(rust.len() > 150);
    for file in rust {
        let lines = fs::read_to_string(file).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines: split it by its ideas", file.display());
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

/// Names of files and folders are strangers': they reach the log and terminals with hidden characters made visible.
#[test]
fn intake_shows_no_path_as_it_is() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/intake"), &mut files);
    assert!(files.len() > 30, "{files:?}");
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        assert!(!code.contains(".display()"), "{}", file.display());
    }
}

/// What is named in the first column of the table that follows `heading`.
fn named_below(text: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = text.split_once(heading).unwrap();
    let (_, table) = section.split_once("|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
}

/// The files of `src` whose production code has one of these words.
fn files_with(words: &[String]) -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    let has_one = |file: &PathBuf| {
        let path = file.to_str().unwrap();
        let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
        let text = fs::read_to_string(file).unwrap();
        let production = text.split("#[cfg(test)]").next().unwrap();
        file.extension().is_some_and(|suffix| suffix == "rs")
            && !is_test
            && words.iter().any(|word| production.contains(word.as_str()))
    };
    let names = files.iter().filter(|file| has_one(file));
    names.map(|file| file.strip_prefix(&source).unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn all_files_that_treat_a_state_or_an_error_kind_apart_are_named_for_who_adds_one() {
    let contributing = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/CONTRIBUTING.md")).unwrap();
    let states = State::ALL.into_iter().flat_map(|state| [format!("State::{state:?}"), format!("'{state}'")]);
    let named = named_below(&contributing, "**A new state of a file**");
    assert_eq!(named, files_with(&states.collect::<Vec<_>>()));
    let kinds =
        ErrorKind::ALL.into_iter().flat_map(|kind| [format!("ErrorKind::{kind:?}"), format!("'{kind}'")]);
    let named = named_below(&contributing, "**A new error kind**");
    assert_eq!(named, files_with(&kinds.collect::<Vec<_>>()));
}

#[test]
fn a_file_s_way_names_functions_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/ARCHITECTURE.md")).unwrap();
    let (_, way) = text.split_once("## A file's way").unwrap();
    let way = way.split("\n## ").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut named = 0;
    for (before, path) in way.match_indices("` in `src/").map(|(at, _)| way.split_at(at)) {
        let path = path.split('`').nth(2).unwrap();
        let source = fs::read_to_string(root.join(path)).unwrap();
        // `run` and `step` in ...
        for name in
            before.rsplit('(').next().unwrap().split(". ").last().unwrap().split('`').skip(1).step_by(2)
        {
            assert!(
                source.contains(&format!("fn {name}(")) || source.contains(&format!("fn {name}<")),
                "{name} in {path}"
            );
            named += 1;
        }
    }
    assert!(named >= 12, "{named}");
}
