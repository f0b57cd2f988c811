//! Lists that are written twice, because one of them is SQL or another program's: both have the same entries.

use std::collections::BTreeSet;
use std::fs;

use brandpost::domain::brand::{BrandType, Outcome};
use brandpost::domain::image::Format;
use brandpost::domain::upload::State;
use brandpost::ledger::{AttemptRow, InboxRow, StatusRow, SummaryRow};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

const MIGRATIONS: [&str; 2] = ["migrations/sqlite/0001_ledger.sql", "migrations/postgres/0001_ledger.sql"];

fn file(name: &str) -> String {
    fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What is quoted between the first `from` and the next `to`.
fn quoted(text: &str, from: &str, to: &str, quote: char) -> BTreeSet<String> {
    let (_, list) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    let list = list.split(to).next().unwrap();
    list.split(quote).skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

fn set(words: impl IntoIterator<Item = &'static str>) -> BTreeSet<String> {
    words.into_iter().map(ToOwned::to_owned).collect()
}

#[test]
fn the_schema_takes_every_word_and_no_other() {
    for migration in MIGRATIONS {
        let sql = file(migration);
        for (check, words) in [
            ("(state IN (", set(State::ALL.map(State::as_str))),
            ("(outcome IN (", set(Outcome::ALL.map(Outcome::as_str))),
            ("(suffix IN (", set(Format::ALL.map(Format::suffix))),
            ("(type IN (", set(BrandType::ALL.map(BrandType::as_str))),
        ] {
            assert_eq!(quoted(&sql, check, ")", '\''), words, "{check} in {migration}");
        }
    }
}

/// The views count files by state.
#[test]
fn the_views_count_every_state() {
    for migration in MIGRATIONS {
        let sql = file(migration);
        let view = |name: &str| sql.split(&format!("CREATE VIEW {name} ")).nth(1).unwrap().split(';').next();
        let (brand, inbox) = (view("brand_summary").unwrap(), view("inbox_status").unwrap());
        for state in State::ALL {
            let counted = format!("u.state = '{state}') AS {state}");
            assert!(brand.contains(&counted), "{state} in brand_summary of {migration}");
            assert_eq!(
                inbox.contains(&counted),
                state.is_pending(),
                "{state} in inbox_status of {migration}"
            );
        }
    }
}

/// A column of a view that its row lacked would be missing on the page and in `--json`.
#[tokio::test]
async fn the_rows_have_every_column_of_their_views() {
    let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(file(MIGRATIONS[0]))).execute(&mut database).await.unwrap();
    for (view, columns) in [
        ("upload_status", &StatusRow::COLUMNS[..]),
        ("brand_summary", &SummaryRow::COLUMNS),
        ("attempt_log", &AttemptRow::COLUMNS),
        ("inbox_status", &InboxRow::COLUMNS),
    ] {
        let query = sqlx::query_scalar("SELECT name FROM pragma_table_info($1) ORDER BY cid").bind(view);
        let there: Vec<String> = query.fetch_all(&mut database).await.unwrap();
        assert_eq!(columns, there, "{view}");
    }
}

#[test]
fn the_sandbox_takes_every_suffix() {
    let suffixes = quoted(&file("crates/sandbox/src/call.rs"), "one_of(\"suffix\", &[", "]", '"');
    assert_eq!(suffixes, set(Format::ALL.map(Format::suffix)));
}

/// `brandpost database copy` takes every table along, but for what each database has of its own.
#[test]
fn every_table_is_copied_to_a_server() {
    const OWN: [&str; 1] = ["compatibility"];
    let source = file("src/ledger/copy_to_server.rs");
    let copied: BTreeSet<_> = source
        .split_once("const TABLES")
        .and_then(|(_, rest)| rest.split_once("];"))
        .map(|(list, _)| list.split("(\"").skip(1).map(|row| row.split('"').next().unwrap().to_owned()))
        .unwrap()
        .collect();
    let sql = file(MIGRATIONS[0]);
    let tables = sql.split("\nCREATE TABLE ").skip(1).map(|rest| rest.split(' ').next().unwrap().to_owned());
    let tables: BTreeSet<_> = tables.filter(|table| !OWN.contains(&table.as_str())).collect();
    assert_eq!(copied, tables);
}
