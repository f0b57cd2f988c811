//! Rows for programs: JSON, or CSV with a heading.
//!
//! In a pipe nothing is stripped. JSON escapes hidden characters, which changes nothing of what it says. CSV has
//! no such escape: it holds them as they are, and only a terminal gets them escaped.

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write as _};

use serde::Serialize;
use serde_json::Value;

use crate::domain::text::{is_hidden, visible};

/// What makes a spreadsheet take a cell for a formula, also in its full-width form.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Prints rows as CSV, after the names of their columns, or as a JSON array.
pub(super) fn print<T: Serialize>(rows: &[T], columns: &[&str], as_csv: bool) -> anyhow::Result<()> {
    match as_csv {
        true => write(&csv(rows, columns, std::io::stdout().is_terminal())?),
        false => print_json(rows),
    }
}

/// Prints rows as a JSON array.
pub(super) fn print_json<T: Serialize>(rows: &[T]) -> anyhow::Result<()> {
    write(&json(rows)?)
}

/// Not by `anstream`, which takes colours out of what goes into a pipe, and with them parts of names.
fn write(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => super::exit_as_sigpipe(),
        written => Ok(written?),
    }
}

fn json<T: Serialize>(rows: &[T]) -> anyhow::Result<String> {
    let plain = serde_json::to_string_pretty(rows)? + "\n";
    let mut text = String::with_capacity(plain.len());
    for c in plain.chars() {
        // line breaks stand between texts only: within one, they are escaped already
        if c == '\n' || !is_hidden(c) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(text, "\\u{unit:04x}")?;
        }
    }
    Ok(text)
}

fn csv<T: Serialize>(rows: &[T], columns: &[&str], terminal: bool) -> anyhow::Result<String> {
    let mut text = csv::Writer::from_writer(Vec::new());
    text.write_record(columns)?;
    for row in rows {
        let row = serde_json::to_value(row)?;
        text.write_record(columns.iter().map(|column| cell(&row[column], terminal)))?;
    }
    Ok(String::from_utf8_lossy(&text.into_inner()?).into_owned())
}

/// A text that a spreadsheet would take for a formula gets an apostrophe in front.
fn cell(value: &Value, terminal: bool) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let mark = if text.starts_with(FORMULA) { "'" } else { "" };
            mark.to_owned() + &if terminal { visible(text) } else { text.clone() }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        name: &'static str,
        number: i64,
        nothing: Option<String>,
    }

    const COLUMNS: [&str; 3] = ["name", "number", "nothing"];

    fn row(name: &'static str) -> Row {
        Row { name, number: -1, nothing: None }
    }

    #[test]
    fn spreadsheets_find_no_formula() {
        for name in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            let text = csv(&[row(name)], &COLUMNS, false).unwrap();
            let mut lines = csv::Reader::from_reader(text.as_bytes());
            let record = lines.records().next().unwrap().unwrap();
            assert_eq!((&record[0], &record[1], &record[2]), (&*format!("'{name}"), "-1", ""), "{name:?}");
        }
        assert_eq!(csv(&[row("a=1.jpg")], &COLUMNS, false).unwrap(), "name,number,nothing\na=1.jpg,-1,\n");
    }

    #[test]
    fn a_pipe_gets_every_byte_and_a_terminal_no_hidden_one() {
        let name = "\u{1b}[31mred\u{9b}\u{202e}\u{e0041}.jpg";
        assert!(csv(&[row(name)], &COLUMNS, false).unwrap().contains(name));
        let shown = csv(&[row(name)], &COLUMNS, true).unwrap();
        assert!(shown.contains("\\u{1b}[31mred\\u{9b}\\u{202e}\\u{e0041}.jpg"), "{shown}");
        let json = json(&[row(name)]).unwrap();
        assert!(json.is_ascii() && json.contains("\\u001b[31mred\\u009b\\u202e\\udb40\\udc41.jpg"), "{json}");
        let back: Vec<Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(back[0]["name"], name);
    }
}
