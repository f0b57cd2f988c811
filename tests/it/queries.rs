//! The cookbook: every query in it runs as it stands, and answers.

use std::fs;

use sqlx::{Connection, Row, SqliteConnection};

use crate::support::pictures::{jpg, png};
use crate::support::{Bench, OTHER, OWN};

fn blocks(file: &str) -> Vec<String> {
    let path = format!("{}/docs/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    text.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_cookbook_runs_and_answers() {
    let queries = blocks("queries.md");
    assert_eq!(queries.len(), 10);
    assert_eq!(queries, blocks("queries.zh-CN.md"), "both languages have the same queries");

    let mut bench = Bench::new().await;
    bench.drop_file(OTHER, "bad.png", b"no picture");
    for seed in 1..=9 {
        bench.drop_file(OWN, format!("front-{seed}.jpg"), &jpg(seed));
    }
    bench.drop_file(OTHER, "side.png", &png(1));
    bench.start().await;
    bench.quiet().await;
    bench.stop().await;
    let url = format!("sqlite://{}?mode=ro", bench.database().display());
    let mut reader = SqliteConnection::connect(&url).await.unwrap();
    let mut answered = Vec::new();
    for query in queries {
        for view in ["FROM upload ", "FROM brand ", "FROM attempt "] {
            assert!(!query.contains(view), "only the public views: {query}");
        }
        let rows = sqlx::query(sqlx::AssertSqlSafe(query.clone())).fetch_all(&mut reader).await;
        let rows = rows.unwrap_or_else(|error| panic!("{error}:\n{query}"));
        answered.push(rows.first().is_some_and(|row| !row.is_empty()));
    }
    // what waits, and what went wrong in attempts, is empty on a good day
    assert!(answered.iter().filter(|answered| **answered).count() >= 7, "{answered:?}");
}
