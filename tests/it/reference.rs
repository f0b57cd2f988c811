//! The reference, in both languages, names all that there is and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use brandpost::cli::Cli;
use brandpost::domain::alert::AlertTopic;
use brandpost::domain::failure::ErrorKind;
use brandpost::domain::notice::NoticeName;
use brandpost::domain::texts::{Language, Place, advice};
use brandpost::domain::upload::State;
use brandpost::ledger::{AttemptRow, InboxRow, StatusRow, SummaryRow};
use clap::CommandFactory;

/// The chapters, in their order in both languages.
const CHAPTERS: [&str; 6] = ["commands", "keys", "states", "kinds", "columns", "http"];
const MONITORING: [&str; 2] = ["docs/monitoring/README.md", "docs/monitoring/README.zh-CN.md"];
const LANGUAGES: [(&str, Language); 2] =
    [("reference.md", Language::English), ("reference.zh-CN.md", Language::Chinese)];

fn file(name: &str) -> String {
    fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What the tables of a chapter name in their first column, with the whole lines; but for the sandbox, which has a test of
/// its own.
fn tables(reference: &str, chapter: &str) -> BTreeMap<String, String> {
    let at = 1 + CHAPTERS.iter().position(|other| *other == chapter).unwrap();
    let text = file(&format!("docs/{reference}"));
    let chapter = text.split("\n## ").nth(at).unwrap();
    let name = |line: &str| Some((line.strip_prefix("| `")?.split('`').next()?.to_owned(), line.to_owned()));
    chapter.lines().filter_map(name).filter(|(name, _)| !name.starts_with("brandpost-sandbox ")).collect()
}

fn assert_names(chapter: &str, there: impl IntoIterator<Item = String>) {
    let there: BTreeSet<_> = there.into_iter().collect();
    assert!(!there.is_empty());
    for (reference, _) in LANGUAGES {
        let named: BTreeSet<_> = tables(reference, chapter).into_keys().collect();
        assert_eq!(named, there, "the chapter {chapter} of docs/{reference}");
    }
}

/// A command and its options, but for those that all have.
fn commands(prefix: &str, command: &clap::Command) -> Vec<String> {
    let name = format!("{prefix}{}", command.get_name());
    let options = command.get_arguments().filter_map(clap::Arg::get_long);
    let options = options.filter(|option| !["config", "help", "version"].contains(option));
    let options = options.map(|option| format!("{name} --{option}"));
    let below = command.get_subcommands().flat_map(|command| commands(&format!("{name} "), command));
    [name.clone()].into_iter().chain(options).chain(below).collect()
}

#[test]
fn every_command_and_option_is_in_it() {
    let ours = Cli::command();
    let ours = ours.get_subcommands().filter(|command| command.get_name() != "help");
    assert_names("commands", ours.flat_map(|command| commands("", command)));
    for readme in ["README.md", "README.zh-CN.md"] {
        let readme = file(readme);
        for command in ["status", "show", "brands", "retry", "release", "reserve", "pause", "page", "inspect"]
        {
            assert!(readme.contains(&format!("brandpost {command}")), "{command}");
        }
    }
}

/// `config.toml` names every key: a test of the configuration sees to that.
#[test]
fn every_key_is_in_it_with_its_default() {
    let sample = file("config.toml");
    let (mut section, mut keys) = ("", BTreeMap::new());
    for line in sample.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = bare.strip_prefix('[') {
            section = name.trim_start_matches('[').split(']').next().unwrap();
        } else if let Some((key, value)) = bare.split_once(" = ").filter(|(key, _)| !key.contains(' ')) {
            let value = value.split("  ").next().unwrap().trim().to_owned();
            keys.insert(
                format!("{section}.{key}"),
                (line.starts_with('#') && section != "brand").then_some(value),
            );
        }
    }
    keys.insert("gateway.app_secret".into(), None);
    assert_names("keys", keys.keys().cloned());
    for (reference, _) in LANGUAGES {
        let table = tables(reference, "keys");
        for (key, default) in &keys {
            if let Some(default) = default {
                assert!(
                    table[key].contains(&format!("| `{default}` |")),
                    "{key} = {default}: {}",
                    table[key]
                );
            }
        }
    }
}

#[test]
fn every_notice_is_in_it() {
    let all: BTreeSet<_> = NoticeName::ALL.map(NoticeName::as_str).into();
    for (reference, _) in LANGUAGES {
        let text = file(&format!("docs/{reference}"));
        let row = text.lines().find(|line| line.starts_with("| `begun` |")).unwrap();
        let (_, texts) = row.rsplit_once(['：', ':']).unwrap();
        let named: BTreeSet<_> = texts.split('`').skip(1).step_by(2).collect();
        assert_eq!(named, all, "{row}");
    }
    // while the page is not served, nobody can read the metrics
    let served = all.into_iter().filter(|name| *name != NoticeName::Unserved.as_str());
    let served: Vec<_> = served.collect();
    for monitoring in MONITORING {
        assert!(file(monitoring).contains(&format!("`{}`", served.join(" "))), "{monitoring}: {served:?}");
    }
}

#[test]
fn every_topic_of_alerts_is_in_it() {
    for (reference, _) in LANGUAGES {
        let row = &tables(reference, "keys")["alerts.on"];
        let named: BTreeSet<_> = row.rsplit_once(" | ").unwrap().1.split('"').skip(1).step_by(2).collect();
        assert_eq!(named, AlertTopic::ALL.map(AlertTopic::as_str).into(), "{reference}");
    }
}

#[test]
fn every_state_is_in_it() {
    assert_names("states", State::ALL.map(|state| state.to_string()));
}

#[test]
fn every_kind_of_error_is_in_it_with_what_to_do() {
    assert_names("kinds", ErrorKind::ALL.map(|kind| kind.to_string()));
    for (reference, language) in LANGUAGES {
        let table = tables(reference, "kinds");
        for kind in ErrorKind::ALL {
            let advice = advice(kind, language, Place::CommandLine);
            assert!(
                table[kind.as_str()].contains(&format!("| {advice} |")),
                "{advice}: {}",
                table[kind.as_str()]
            );
        }
    }
}

#[test]
fn every_column_of_the_views_is_in_it() {
    let views = [
        ("upload_status", &StatusRow::COLUMNS[..]),
        ("brand_summary", &SummaryRow::COLUMNS),
        ("attempt_log", &AttemptRow::COLUMNS),
        ("inbox_status", &InboxRow::COLUMNS),
    ];
    let columns = |(view, columns): (&str, &[&str])| {
        columns.iter().map(|column| format!("{view}.{column}")).collect::<Vec<_>>()
    };
    assert_names("columns", views.into_iter().flat_map(columns));
}

#[test]
fn every_request_of_the_api_is_in_it() {
    let source = file("src/web/mod.rs");
    let routes = source.lines().filter_map(|line| line.trim().strip_prefix(".route(\""));
    let request = |route: &str| {
        let (path, handler) = route.split_once("\", ").unwrap();
        format!("{} {path}", handler.split('(').next().unwrap().to_uppercase())
    };
    assert_names("http", routes.map(request));
}
