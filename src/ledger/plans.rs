//! The plan of each query, as SQLite makes it for a table of ten thousand rows: no query of the daemon's loop may walk
//! through the table.

use std::fmt::Write;
use std::fs;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row, SqlitePool};

use super::{
    Ledger, alert_outbox, attempts, brands, gauges, inboxes, listing, mounts, objects, operator, queue,
    reading, recovery, report, store, transitions, upload_snapshots,
};
use crate::domain::clock::SystemClock;

const QUERIES: &[(&str, &str)] = &[
    ("store::MOMENT", store::MOMENT),
    ("store::BRANDS", store::BRANDS),
    ("store::FILES", store::FILES),
    ("transitions::BRAND_OF", transitions::BRAND_OF),
    ("transitions::ABANDONED", transitions::ABANDONED),
    ("queue::IN_TURN", queue::IN_TURN),
    ("queue::NEWEST", queue::NEWEST),
    ("queue::LEAST_TRIED", queue::LEAST_TRIED),
    ("queue::NEXT_DUE", queue::NEXT_DUE),
    ("transitions::WAITING_BRANDS", transitions::WAITING_BRANDS),
    ("operator::OF_BRAND", operator::OF_BRAND),
    ("operator::HELD", operator::HELD),
    ("operator::IN_STATE", operator::IN_STATE),
    ("operator::BRANDS_WITH_HELD", operator::BRANDS_WITH_HELD),
    ("upload_snapshots::KNOWN", upload_snapshots::KNOWN),
    ("upload_snapshots::KNOWN_OF", upload_snapshots::KNOWN_OF),
    ("upload_snapshots::RECHECKS", upload_snapshots::RECHECKS),
    ("upload_snapshots::OPEN_BRANDS", upload_snapshots::OPEN_BRANDS),
    ("upload_snapshots::OPEN_BELOW", upload_snapshots::OPEN_BELOW),
    ("upload_snapshots::LAST_OBJECT", upload_snapshots::LAST_OBJECT),
    ("attempts::LAST_ERRORS", attempts::LAST_ERRORS),
    ("attempts::FORGET", attempts::FORGET),
    ("objects::HOLDER", objects::HOLDER),
    ("alert_outbox::COUNTS", alert_outbox::COUNTS),
    ("alert_outbox::FILES", alert_outbox::FILES),
    ("alert_outbox::COMPLETED", alert_outbox::COMPLETED),
    ("alert_outbox::UPLOADED_SINCE", alert_outbox::UPLOADED_SINCE),
    ("reading::ALL", reading::ALL),
    ("mounts::ALL", mounts::ALL),
    ("report::BY_ID", report::BY_ID),
    ("report::BY_PATH", report::BY_PATH),
    ("report::ATTEMPTS", report::ATTEMPTS),
    ("report::BRAND", report::BRAND),
    ("gauges::COUNTS", gauges::COUNTS),
    ("gauges::COUNTS_OF_BRAND", gauges::COUNTS_OF_BRAND),
    ("gauges::OLDEST", gauges::OLDEST),
    ("gauges::OUTLOOK", gauges::OUTLOOK),
    ("listing::CHANGED_AFTER", listing::CHANGED_AFTER),
    ("listing::TAKEN", listing::TAKEN),
    ("alert_outbox::ADD_CHANNEL", alert_outbox::ADD_CHANNEL),
    ("alert_outbox::FORGET_DELIVERED", alert_outbox::FORGET_DELIVERED),
    ("alert_outbox::CHANNEL", alert_outbox::CHANNEL),
    ("brands::LABELS", brands::LABELS),
    ("brands::SET_LABEL", brands::SET_LABEL),
    ("gauges::HELD", gauges::HELD),
    ("inboxes::ALL", inboxes::ALL),
    ("inboxes::FORGET_READING", inboxes::FORGET_READING),
    ("inboxes::UNSENT", inboxes::UNSENT),
    ("reading::FORGET_FOLDER", reading::FORGET_FOLDER),
    ("reading::FORGET", reading::FORGET),
    ("recovery::END_REBUILD", recovery::END_REBUILD),
    ("report::PICTURE", report::PICTURE),
    ("report::BRANDS", report::BRANDS),
    ("store::RESIZE", store::RESIZE),
    ("store::UNRESERVE", store::UNRESERVE),
    ("store::REMOVE", store::REMOVE),
    ("store::PARK", store::PARK),
];

/// What is on a row a file, a brand or an attempt: a table, or a view over it.
const GROWING: [&str; 10] = [
    "alert",
    "attempt",
    "attempt_log",
    "brand",
    "brand_summary",
    "inbox_status",
    "reading",
    "reserved_slot",
    "upload",
    "upload_status",
];

/// Statements on these without a plan here, and why.
const WITHOUT_PLAN: [(&str, &str); 7] = [
    ("copy_to_server::NEXT_UPLOAD", "once, on PostgreSQL"),
    ("copy_to_server::ROWS", "once, on PostgreSQL"),
    ("listing::UNKNOWN", "the end of a statement that begins with a list"),
    ("other_hosts::LAST_CHANGE", "on PostgreSQL only"),
    ("brands::OTHER_HOST", "on PostgreSQL only"),
    ("store::LOCK", "on PostgreSQL only"),
    ("store::BUMP", "on PostgreSQL only"),
];

/// A thousand brands with ten files each: most are uploaded, some wait.
const FILL: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
    INSERT INTO upload (id, brand_id, inbox_id, path_bytes, path, file_name, state, slot, size_bytes, mtime_ns, inode, suffix, width,
                        height, sha256, md5, crc64, next_attempt_at, turn, detected_at, uploaded_at, updated_at)
    SELECT i, 1 + i / 10, 1, CAST('/inbox/' || i AS BLOB), '/inbox/' || i, i || '.jpg',
           CASE WHEN i % 50 = 0 THEN 'queued' ELSE 'uploaded' END, 1 + i % 10, 1, 1, i, 'jpg', 1, 1, i, i, '1',
           CASE WHEN i % 50 = 0 THEN '2026-11-24T05:00:00.000Z' END, CASE WHEN i % 50 = 0 THEN i % 7 END, '2026-11-24T05:00:00.000Z',
           CASE WHEN i % 50 <> 0 THEN '2026-11-24T05:00:00.000Z' END, '2026-11-24T05:00:00.000Z'
    FROM n";

async fn plan(pool: &SqlitePool, query: &str) -> String {
    // a list of ids is opened by the constant, and closed by the code that writes the ids into it
    let query = if query.ends_with('(') { format!("{query}1, 2)") } else { query.to_owned() };
    let rows =
        sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"))).fetch_all(pool).await.unwrap();
    let mut text = String::new();
    for row in rows {
        writeln!(text, "    {}", row.get::<&str, _>("detail")).unwrap();
    }
    text
}

#[tokio::test]
async fn each_query_has_the_plan_that_it_was_written_for() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&*folder.path().join("x.db"), Arc::new(SystemClock)).await.unwrap();
    let brands: Vec<_> = (1..=1001).map(|id| (format!("OWNBRAND/{id}").parse().unwrap(), 10)).collect();
    ledger.register(&brands).await.unwrap();
    let pool = ledger.session.pool.sqlite().unwrap();
    sqlx::query(FILL).execute(pool).await.unwrap();
    let mut plans = String::new();
    for (name, query) in QUERIES {
        writeln!(plans, "{name}\n{}", plan(pool, query).await).unwrap();
    }
    insta::assert_snapshot!(plans);
    ledger.close().await;
}

/// The statements that are constants of `src/ledger`, with their names. An `INSERT` of given values has no plan.
fn statements() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/ledger")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() || module == "plans" {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for constant in source.split("const ").skip(1) {
            let Some((name, text)) = constant.split_once(": &str =") else { continue };
            let text = text.split(";\n").next().unwrap().to_owned();
            let fixed = text.contains("INSERT INTO") && !text.contains("SELECT");
            if !name.contains(char::is_whitespace) && !fixed {
                found.push((format!("{module}::{name}"), text));
            }
        }
    }
    found
}

fn is_on_growing_table(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| GROWING.contains(&word))
}

#[test]
fn no_statement_on_a_table_that_grows_is_forgotten() {
    let statements = statements();
    assert!(statements.len() > 80, "{}", statements.len());
    for (name, text) in &statements {
        let known = QUERIES.iter().chain(&WITHOUT_PLAN).any(|(other, _)| other == name);
        let other_engine = name.ends_with("_POSTGRES");
        assert!(known || other_engine || !is_on_growing_table(text), "{name} has no plan in {}", file!());
    }
    for (name, _) in WITHOUT_PLAN {
        assert!(statements.iter().any(|(other, _)| other == name), "{name} is not there");
    }
}
