//! The same promises on PostgreSQL.

use std::process::Command;

use crate::support::postgres::{self, cluster};

/// Modules that do not run once more on PostgreSQL, by why they do not; all others do.
const ELSEWHERE: [(&str, &[&str]); 4] = [
    (
        "about clouds, folders, logs and documents",
        &[
            "answers",
            "architecture",
            "checksums",
            "cloud",
            "crowd",
            "endless",
            "destination",
            "https",
            "hung",
            "labels",
            "lists",
            "logs",
            "metrics",
            "overflow",
            "packaging",
            "queries",
            "reference",
            "same_stamp",
            "support",
            "texts",
            "users",
        ],
    ),
    ("the file of SQLite", &["crash", "damage", "moved_inbox"]),
    (
        "PostgreSQL anyway",
        &["concurrent_hosts", "hosts_crash", "postgres", "postgres_roles", "several_hosts"],
    ),
    ("as long as all others together", &["simulation"]),
];

/// Of the others, what is about a file of SQLite's.
const SQLITE: [&str; 9] = [
    "alerts::a_database_that_was_lost_is_told",
    // the clock of the server is the one that counts, and no test can set it
    "alerts::the_daily_summary_is_sent_once_a_day",
    "check::check_counts_files_that_are_held",
    "cli::a_backup_is_a_whole_database",
    "cli::bad_input_gets_one_clear_line",
    "lifecycle::two_daemons_do_not_share_a_database",
    "operators::a_database_that_cannot_be_written_and_what_waits_are_named",
    "operators::status_without_a_daemon_works_where_nothing_can_be_written",
    // a server gives ids in advance, some to each daemon: the first column differs
    "terminal::tables_fit_terminals_of_80_and_120_columns",
];

/// The modules of this binary that are not named above.
fn suite_modules() -> Vec<String> {
    let main = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/main.rs")).unwrap();
    let all: Vec<_> = main.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).collect();
    for elsewhere in ELSEWHERE.iter().flat_map(|(_, modules)| *modules) {
        assert!(all.contains(elsewhere), "{elsewhere} is no module");
    }
    let runs = |module: &&str| ELSEWHERE.iter().all(|(_, modules)| !modules.contains(module));
    all.into_iter().filter(runs).map(ToOwned::to_owned).collect()
}

#[test]
fn the_suite_passes_on_postgresql() {
    let Some(cluster) =
        cluster("postgres::the_suite_passes_on_postgresql").filter(|_| !postgres::is_engine())
    else {
        return;
    };
    let mut suite = Command::new(std::env::current_exe().unwrap());
    let (variable, server) = cluster.as_variable();
    suite.env(variable, server).args(suite_modules().iter().map(|module| format!("{module}::")));
    for test in SQLITE {
        suite.args(["--skip", test]);
    }
    let output = suite.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "on PostgreSQL:\n{text}");
    assert!(text.contains(" passed; 0 failed"), "{text}");
}
