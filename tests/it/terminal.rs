//! What a terminal of 80 or 120 columns shows, in both languages.

use std::process::Command;

use unicode_width::UnicodeWidthStr;

use crate::cli::{ZH, steady};
use crate::support::pictures::{jpg, png};
use crate::support::{Bench, OTHER, OWN};

/// A time without its year, as narrow tables have it, replaced by another one.
fn without_times(text: &str) -> String {
    let mut words: Vec<_> = text.split_inclusive(' ').map(str::to_owned).collect();
    for at in 1..words.len() {
        let is_time =
            words[at].len() >= 8 && words[at].as_bytes()[2] == b':' && words[at].as_bytes()[5] == b':';
        if is_time && words[at - 1].len() == 6 {
            words[at - 1].replace_range(..5, "00-00");
            words[at].replace_range(..8, "00:00:00");
        }
    }
    words.concat()
}

/// A command on a terminal; `None`: `script` (util-linux), which makes terminals, is not there.
fn on_terminal(bench: &Bench, columns: u16, locale: &str, command: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_brandpost");
    let line =
        format!("stty rows 40 cols {columns} && {program} --config {} {command}", bench.config().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let output = script.envs([("LC_ALL", locale), ("NO_COLOR", "1"), ("TZ", "UTC")]).output().ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap().replace('\r', ""))
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_fit_terminals_of_80_and_120_columns() {
    let mut bench = Bench::new().await;
    std::fs::create_dir_all(bench.brand("OTHERBRAND/7-浙江某某家用电器股份有限公司")).unwrap();
    for (brand, name, bytes) in [
        (OWN, "a.jpg", &jpg(1)[..]),
        (OWN, "商标注册证第30类（副本）最终版-2026年盖章.jpg", &jpg(2)),
        (OTHER, "b.png", &png(3)[..200]),
        (OTHER, "c.jpg", b"%PDF-1.7 and so on"),
        ("OTHERBRAND/7-浙江某某家用电器股份有限公司", "d.gif", b"text"),
    ] {
        bench.drop_file(brand, name, bytes);
        bench.once().await;
    }
    let mut seen = String::new();
    for (locale, columns) in [("C.UTF-8", 80), ("C.UTF-8", 120), (ZH, 80), (ZH, 120)] {
        for command in ["status", "brands"] {
            let Some(shown) = on_terminal(&bench, columns, locale, command) else {
                eprintln!("\n***** SKIPPED, because script(1) is not there: terminal *****\n");
                return;
            };
            for line in shown.lines() {
                assert!(line.width() <= columns.into(), "{columns} columns:\n{shown}");
            }
            let shown = without_times(&steady(&bench, &shown));
            seen.extend([command, ", ", &columns.to_string(), " columns, ", locale, "\n", &shown, "\n"]);
        }
    }
    insta::assert_snapshot!("terminal", seen);
}
