//! How things look: colours on a terminal, tables, local times, sizes.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::lang::tr;
use crate::domain::brand::BrandKey;
use crate::domain::clock::{Clock, SystemClock};
pub(super) use crate::domain::text::visible;
use crate::domain::upload::State;

/// What a state looks like.
pub(super) fn of_state(state: State) -> Style {
    let colour = match state {
        State::Uploaded => AnsiColor::Green,
        State::Uploading | State::Queued => AnsiColor::Cyan,
        State::Retrying => AnsiColor::Yellow,
        State::Failed | State::Rejected => AnsiColor::Red,
        State::Gone => AnsiColor::BrightBlack,
    };
    colour.on_default()
}

/// The longest label in a table, in columns of the terminal, and on a narrow one.
const LABEL: usize = 24;
const NARROW_LABEL: usize = 16;

/// The longest name of a file, by how wide the terminal is.
const NAME: [usize; 3] = [24, 36, 60];

/// A terminal of fewer columns is a narrow one; with fewer than the second, notes stand below their rows.
const NARROW: u16 = 120;
const ROOM_FOR_NOTES: u16 = 160;

/// Less important.
pub(super) const FAINT: Style = Style::new().dimmed();

/// A heading.
pub(super) const BOLD: Style = Style::new().bold();

/// A text in a style; printing takes the style off again where it does not belong.
pub(super) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A table without lines, as wide as the terminal. Columns whose heading is in `whole` are never broken.
pub(super) fn table(headings: &[&str], whole: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width());
    table.set_header(headings.iter().map(|heading| paint(FAINT, heading)));
    let constraint = |heading: &&str| match whole.contains(heading) {
        true => ColumnConstraint::ContentWidth,
        false => ColumnConstraint::LowerBoundary(Width::Fixed(8)),
    };
    table.set_constraints(headings.iter().map(constraint));
    table
}

/// A table without the padding at its left and right.
pub(super) fn text(table: &Table) -> String {
    let lines = table.lines();
    lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n").collect()
}

/// A brand in a table: its label stands beside its key, or below where there is little room.
pub(super) fn brand(brand: BrandKey, label: Option<&str>) -> String {
    let (between, most) = if is_narrow() { ('\n', NARROW_LABEL) } else { (' ', LABEL) };
    match label.map(|label| shortened_to(&visible(label), most)) {
        Some(label) => format!("{brand}{between}{label}"),
        None => brand.to_string(),
    }
}

/// A long name loses its middle: its beginning and its suffix say most.
pub(super) fn shortened(name: &str) -> String {
    let most = NAME[usize::from(!is_narrow()) + usize::from(has_room_for_notes())];
    shortened_to(name, most)
}

fn shortened_to(name: &str, most: usize) -> String {
    if name.width() <= most {
        return name.to_owned();
    }
    let fits = |chars: &mut dyn Iterator<Item = char>, most: usize| -> Vec<char> {
        let mut width = 0;
        let room = |c: &char| {
            width += c.width().unwrap_or_default();
            width <= most
        };
        chars.take_while(room).collect()
    };
    let end = most / 3;
    let head = fits(&mut name.chars(), most - end);
    let tail = fits(&mut name.chars().rev(), end - 1);
    head.into_iter().chain(['…']).chain(tail.into_iter().rev()).collect()
}

/// How many lines the terminal has.
pub(super) fn height() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stdout());
    terminal.map_or(usize::MAX, |(_, height)| usize::from(height.0))
}

/// How many lines of the terminal a line takes.
pub(super) fn rows(line: &str) -> usize {
    let columns = anstream::adapter::strip_str(line).to_string().width();
    columns.div_ceil(usize::from(width())).max(1)
}

/// Of the terminal; pipes get long lines.
pub(super) fn width() -> u16 {
    let terminal = terminal_size::terminal_size_of(std::io::stdout());
    terminal.map_or(240, |(width, _)| width.0.max(60))
}

fn is_narrow() -> bool {
    width() < NARROW
}

/// Is there room for a column of sentences?
pub(super) fn has_room_for_notes() -> bool {
    width() >= ROOM_FOR_NOTES
}

/// A time of the database in the reader's zone.
pub(super) fn local(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => {
            // a narrow terminal has no room for the year
            let format = if is_narrow() { "%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
            time.to_zoned(zone()).strftime(format).to_string()
        }
        Err(_) => visible(time),
    }
}

/// The reader's time zone: that of `TZ`, else that of the machine. An unknown one is reported once.
pub(super) fn zone() -> TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    let find = || {
        TimeZone::try_system().unwrap_or_else(|error| {
            anstream::eprintln!(
                "{}",
                tr!("the time zone is unknown, times are UTC: {error}", "时区未知，时间以 UTC 显示：{error}")
            );
            TimeZone::UTC
        })
    };
    ZONE.get_or_init(find).clone()
}

/// On a terminal: which times are shown, for the end of a page. Programs that read them know, or ask for JSON.
pub(super) fn offset() -> Option<String> {
    let now = SystemClock.now().to_zoned(zone());
    let offset = now.strftime("%:z").to_string();
    let text = tr!("times are UTC{offset}", "时间为 UTC{offset}");
    std::io::stdout().is_terminal().then(|| paint(FAINT, &text))
}

/// A number of bytes for people.
pub(super) fn bytes(count: i64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut number = count as f64;
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{number:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shortened("short.jpg"), "short.jpg");
        let long = shortened(&("长".repeat(80) + "-end.jpg"));
        assert!(long.width() <= 60 && long.starts_with('长') && long.ends_with("-end.jpg"), "{long}");
        assert!((23..=LABEL).contains(&shortened_to(&"é".repeat(80), LABEL).width()));
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!([0, 1023, 1024, 1_536_000].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.5 MiB"]);
    }
}
