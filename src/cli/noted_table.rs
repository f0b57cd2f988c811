//! A table whose rows may each have a note: in a last column, or below its row where that column would be a narrow one.

use comfy_table::{ContentArrangement, Table, presets};

use super::style;

/// A note below its row begins so far in.
const INDENT: u16 = 4;

/// Rows of cells, each with its note; an empty one is none.
pub(super) struct NotedTable<'a> {
    /// Of the cells.
    pub(super) headings: &'a [&'a str],
    /// Those of them that are never broken.
    pub(super) whole: &'a [&'a str],
    /// Of the notes, when they have a column.
    pub(super) note: &'a str,
    pub(super) rows: Vec<(Vec<String>, String)>,
}

impl NotedTable<'_> {
    /// As lines for this terminal.
    pub(super) fn text(self) -> String {
        if style::has_room_for_notes() { self.beside() } else { self.below() }
    }

    fn beside(self) -> String {
        let headings: Vec<_> = self.headings.iter().copied().chain([self.note]).collect();
        let mut table = style::table(&headings, self.whole);
        table.add_rows(self.rows.into_iter().map(|(cells, note)| cells.into_iter().chain([note])));
        style::text(&table)
    }

    fn below(self) -> String {
        let mut table = style::table(self.headings, self.whole);
        let (cells, notes): (Vec<_>, Vec<_>) = self.rows.into_iter().unzip();
        table.add_rows(cells);
        let mut text = String::new();
        // that of the headings
        let mut notes = std::iter::once(String::new()).chain(notes);
        let mut due = None;
        for line in style::text(&table).lines() {
            // the first column is never broken, so a line without it belongs to the row before
            if !line.starts_with(' ') {
                push_note(&mut text, due.take());
                due = notes.next();
            }
            text += &(line.to_owned() + "\n");
        }
        push_note(&mut text, due);
        text
    }
}

/// A note as lines of its own.
fn push_note(text: &mut String, note: Option<String>) {
    let Some(note) = note.filter(|note| !note.is_empty()) else { return };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(style::width() - INDENT).add_row([note]);
    for line in style::text(&table).lines() {
        *text += &(" ".repeat(INDENT.into()) + line + "\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_stands_below_all_lines_of_its_row() {
        let row = |cells: [&str; 2], note: &str| (cells.map(str::to_owned).to_vec(), note.to_owned());
        let table = NotedTable {
            headings: &["ID", "BRAND"],
            whole: &["ID", "BRAND"],
            note: "WHY",
            rows: vec![row(["1", "a\nlabel"], "because"), row(["2", "b"], ""), row(["3", "c"], "therefore")],
        };
        let text = anstream::adapter::strip_str(&table.below()).to_string();
        assert_eq!(text, "ID  BRAND\n1   a\n    label\n    because\n2   b\n3   c\n    therefore\n");
    }
}
