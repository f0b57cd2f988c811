//! The same promises on PostgreSQL.

use std::process::Command;

use crate::support::postgres::{self, cluster};

/// Tests of what both engines have in common.
const SUITE: [&str; 13] = [
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
    "web::",
];

/// Of these, what is about a file of SQLite's.
const SQLITE: [&str; 7] = [
    "alerts::a_database_that_was_lost_is_told",
    // the clock of the server is the one that counts, and no test can set it
    "alerts::the_daily_summary_is_sent_once_a_day",
    "cli::a_backup_is_a_whole_database",
    "cli::bad_input_gets_one_clear_line",
    "lifecycle::two_daemons_do_not_share_a_database",
    "operators::a_database_that_cannot_be_written_and_what_waits_are_named",
    "operators::status_without_a_daemon_works_where_nothing_can_be_written",
];

#[test]
fn the_suite_passes_on_postgresql() {
    let Some(cluster) =
        cluster("postgres::the_suite_passes_on_postgresql").filter(|_| !postgres::is_engine())
    else {
        return;
    };
    let mut suite = Command::new(std::env::current_exe().unwrap());
    let (variable, server) = cluster.as_variable();
    suite.env(variable, server).args(SUITE);
    for test in SQLITE {
        suite.args(["--skip", test]);
    }
    let output = suite.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "on PostgreSQL:\n{text}");
    assert!(text.contains(" passed; 0 failed"), "{text}");
}
