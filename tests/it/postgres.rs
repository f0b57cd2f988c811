//! The same promises on PostgreSQL.

use std::process::Command;

use crate::support::postgres::{self, cluster};

/// Tests of what both engines have in common.
const SUITE: [&str; 12] = [
    "alerts::",
    "backlog::",
    "cli::",
    "folders::",
    "grants::",
    "in_between::",
    "ledger::",
    "lifecycle::",
    "operators::",
    "pauses::",
    "slots::",
    "way::",
];

/// Of these, what is about a file of SQLite's.
const SQLITE: [&str; 0] = [];

#[test]
fn the_suite_passes_on_postgresql() {
    let Some(cluster) =
        cluster("postgres::the_suite_passes_on_postgresql").filter(|_| !postgres::is_engine())
    else {
        return;
    };
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite.env("BRANDPOST_TEST_POSTGRES", &cluster.folder).args(SUITE);
    for test in SQLITE {
        suite.args(["--skip", test]);
    }
    let output = suite.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "on PostgreSQL:\n{text}");
    assert!(text.contains(" passed; 0 failed"), "{text}");
}
