//! The plan of each query, as SQLite makes it for a table of ten thousand rows: no query of the daemon's loop may walk
//! through the table.

use std::fmt::Write;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row, SqlitePool};

use super::{
    Ledger, alert_outbox, attempts, gauges, listing, mounts, objects, operator, queue, reading, report,
    snapshots, store, transitions,
};
use crate::domain::clock::SystemClock;

const QUERIES: [(&str, &str); 39] = [
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
    ("snapshots::KNOWN", snapshots::KNOWN),
    ("snapshots::KNOWN_OF", snapshots::KNOWN_OF),
    ("snapshots::RECHECKS", snapshots::RECHECKS),
    ("snapshots::OPEN_BRANDS", snapshots::OPEN_BRANDS),
    ("snapshots::OPEN_BELOW", snapshots::OPEN_BELOW),
    ("snapshots::LAST_OBJECT", snapshots::LAST_OBJECT),
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
