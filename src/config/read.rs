//! From text and environment to the mirror, with every mistake named.
//!
//! serde stops at the first mistake. So the document is read again without the entry at fault until it is
//! accepted; each round names one.

use std::borrow::Cow;
use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::file::File;
use super::problem::{Problem, Problems, Source};
use super::secret;
use super::wording;

/// `BRANDPOST_<SECTION>__<KEY>` overrides a key.
pub const ENV_PREFIX: &str = "BRANDPOST_";

/// The file as it was accepted, and where each key is in it.
pub(super) struct Document {
    pub(super) file: File,
    pub(super) source: Source,
    keys: Vec<(String, Range<usize>)>,
}

impl Document {
    /// Names the place of `section.key`, or the file when it stands nowhere.
    pub(super) fn place(&self, key: &str) -> String {
        let span = self.keys.iter().find(|(name, _)| name == key).map(|(_, span)| span);
        self.source.place(span)
    }

    /// Keys of the file that say the same as others: `key` and `key_file`.
    pub(super) fn doubled(&self) -> Vec<(String, String)> {
        let is_in_file =
            |name: &str| self.keys.iter().any(|(key, _)| key == name) && !self.is_overridden(name);
        let names = self.keys.iter().map(|(name, _)| name);
        let pairs = names.filter_map(|name| Some((name.strip_suffix("_file")?.to_owned(), name.clone())));
        pairs.filter(|(key, file)| is_in_file(key) && is_in_file(file)).collect()
    }

    /// Did it come from the environment?
    pub(super) fn is_overridden(&self, key: &str) -> bool {
        self.place(key).starts_with('$')
    }
}

/// Reads the text and the overlay. The mistakes stand beside what could be read.
pub(super) fn read(
    path: &Path,
    text: &str,
    overlay: &[(String, String)],
) -> Result<(Document, Vec<Problem>), Problems> {
    let mut source = Source::new(path, text);
    let (mut table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let syntax = |error: &toml::de::Error| {
            let span = error.span();
            let parts = span.as_ref().and_then(|span| text.split_at_checked(span.start));
            let (before, rest) = parts.unwrap_or_default();
            problem(&source, span.as_ref(), "", &wording::of_syntax(error.message(), before, rest))
        };
        return Err(Problems(errors.iter().map(syntax).collect()));
    }
    for (name, value) in overlay {
        let span = source.add_variable(name.clone());
        set(table.get_mut(), name, value, span);
    }
    let keys = keys(table.get_ref());
    let (file, problems) = accept(table, &source, overlay);
    Ok((Document { file, source, keys }, problems))
}

/// The variables of the environment that override keys, sorted by name.
pub(super) fn overlay(environment: impl Iterator<Item = (OsString, OsString)>) -> Vec<(String, String)> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let ours = |(name, _): &(String, String)| name.starts_with(ENV_PREFIX) && name.contains("__");
    let mut overlay: Vec<_> = environment.filter_map(text).filter(ours).collect();
    overlay.sort();
    overlay
}

/// Puts a variable into the table as a text; `accept` turns it into another type where one is wanted.
fn set<'i>(table: &mut DeTable<'i>, name: &'i str, value: &'i str, span: Range<usize>) {
    let Some((section, key)) = name.trim_start_matches(ENV_PREFIX).split_once("__") else {
        return;
    };
    let key_at = |name: &str| Spanned::new(span.clone(), DeString::from(Cow::Owned(name.to_lowercase())));
    let section = table
        .entry(key_at(section))
        .or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    if let DeValue::Table(section) = section.get_mut() {
        let key = key_at(key);
        section.remove(key.get_ref().as_ref());
        section.insert(key, Spanned::new(span, DeValue::String(Cow::Borrowed(value))));
    }
}

fn keys(table: &DeTable<'_>) -> Vec<(String, Range<usize>)> {
    let mut keys = Vec::new();
    for (section, value) in table {
        keys.push((section.get_ref().to_string(), section.span()));
        if let DeValue::Table(section_table) = value.get_ref() {
            for (key, _) in section_table {
                keys.push((format!("{}.{}", section.get_ref(), key.get_ref()), key.span()));
            }
        }
        for (number, brand) in value.get_ref().as_array().into_iter().flatten().enumerate() {
            keys.push((format!("{}[{number}]", section.get_ref()), brand.span()));
        }
    }
    keys
}

fn accept<'i>(
    mut table: Spanned<DeTable<'i>>,
    source: &Source,
    overlay: &'i [(String, String)],
) -> (File, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut reread = vec![false; overlay.len()];
    loop {
        let error = match File::deserialize(toml::de::Deserializer::from(table.clone())) {
            Ok(file) => return (file, in_order(problems)),
            Err(error) => error,
        };
        let span = error.span();
        let Some(entry) = span.as_ref().and_then(|span| find(table.get_ref(), span)) else {
            problems.push((usize::MAX, problem(source, span.as_ref(), "", error.message())));
            return (File::default(), in_order(problems));
        };
        let wants_list = error.message().contains("expected a sequence");
        if retype(table.get_mut(), &entry, overlay, &mut reread, wants_list) {
            continue;
        }
        let at = span.as_ref().map_or(usize::MAX, |span| span.start);
        problems.push((at, problem(source, span.as_ref(), &entry.name(), &entry.message(error.message()))));
        entry.remove(table.get_mut());
    }
}

/// In the order of the text.
fn in_order(mut problems: Vec<(usize, Problem)>) -> Vec<Problem> {
    problems.sort_by_key(|(at, _)| *at);
    problems.into_iter().map(|(_, problem)| problem).collect()
}

/// The entry of the document that has a mistake in it.
struct Entry {
    section: String,
    key: Option<String>,
    /// Which item of a list of sections, as in `[[brand]]`.
    number: Option<usize>,
}

impl Entry {
    fn name(&self) -> String {
        let dot = |key: &String| format!("{}.{key}", self.section);
        self.key.as_ref().map_or_else(|| self.section.clone(), dot)
    }

    /// serde quotes the value it did not like; that of a secret must not be shown.
    fn message(&self, message: &str) -> String {
        let name = self.name();
        match self.key.as_deref() {
            None if message.ends_with("expected a sequence") => {
                format!("must be written with two brackets, as in [[{}]]: there may be several", self.section)
            }
            Some(_) if secret::ALL.iter().any(|secret| secret.name() == name) => {
                "must be a text in quotes".into()
            }
            None if ["gateway", "alerts"].contains(&self.section.as_str()) => {
                format!("must be a section of keys, as in [{}]", self.section)
            }
            _ => wording::of_entry(message),
        }
    }

    fn remove(&self, table: &mut DeTable<'_>) {
        let Some(section) = table.get_mut(self.section.as_str()).map(Spanned::get_mut) else {
            return;
        };
        match (section, &self.key, self.number) {
            (DeValue::Table(section), Some(key), _) => drop(section.remove(key.as_str())),
            (array @ DeValue::Array(_), _, Some(number)) => without(array, number),
            _ => drop(table.remove(self.section.as_str())),
        }
    }
}

/// Takes one item out of an array (which has no method for it).
fn without(array: &mut DeValue<'_>, number: usize) {
    if let DeValue::Array(items) = std::mem::replace(array, DeValue::Boolean(false)) {
        let others = items.into_iter().enumerate().filter(|(at, _)| *at != number);
        *array = DeValue::Array(others.map(|(_, item)| item).collect());
    }
}

fn find(table: &DeTable<'_>, span: &Range<usize>) -> Option<Entry> {
    let within =
        |outer: Range<usize>| outer.start <= span.start && span.start < outer.end.max(outer.start + 1);
    for (section, value) in table {
        let entry = |key, number| Some(Entry { section: section.get_ref().to_string(), key, number });
        if let DeValue::Table(keys) = value.get_ref() {
            let hit = keys.iter().find(|(key, value)| within(key.span()) || within(value.span()));
            if let Some((key, _)) = hit {
                return entry(Some(key.get_ref().to_string()), None);
            }
        }
        for (number, item) in value.get_ref().as_array().into_iter().flatten().enumerate() {
            let mut keys = item.get_ref().as_table().into_iter().flatten();
            let hit = keys.find(|(key, value)| within(key.span()) || within(value.span()));
            if hit.is_some() || within(item.span()) {
                return entry(hit.map(|(key, _)| key.get_ref().to_string()), Some(number));
            }
        }
        if within(section.span()) || within(value.span()) {
            return entry(None, None);
        }
    }
    None
}

/// A variable is a text at first; where another type is wanted it is read once more, as TOML, and then as
/// a list with commas.
fn retype<'i>(
    table: &mut DeTable<'i>,
    entry: &Entry,
    overlay: &'i [(String, String)],
    reread: &mut [bool],
    wants_list: bool,
) -> bool {
    let wanted = |(name, _): &(String, String)| {
        let path = name.trim_start_matches(ENV_PREFIX).to_lowercase();
        path.split_once("__").is_some_and(|(section, key)| format!("{section}.{key}") == entry.name())
    };
    let Some(number) = overlay.iter().position(wanted).filter(|number| !reread[*number]) else {
        return false;
    };
    reread[number] = true;
    let Some(DeValue::Table(section)) = table.get_mut(entry.section.as_str()).map(Spanned::get_mut) else {
        return false;
    };
    let Some(slot) = entry.key.as_deref().and_then(|key| section.get_mut(key)) else {
        return false;
    };
    let value = &overlay[number].1;
    match DeValue::parse(value) {
        Ok(parsed) => *slot.get_mut() = parsed.into_inner(),
        Err(_) if wants_list => *slot.get_mut() = list(value, &slot.span()),
        Err(_) => return false,
    }
    true
}

fn list<'i>(value: &'i str, span: &Range<usize>) -> DeValue<'i> {
    let item = |part: &'i str| Spanned::new(span.clone(), DeValue::String(Cow::Borrowed(part.trim())));
    DeValue::Array(value.split(',').map(item).collect())
}

fn problem(source: &Source, span: Option<&Range<usize>>, key: &str, message: &str) -> Problem {
    let message = message.lines().next().unwrap_or_default().to_owned();
    Problem { place: source.place(span), key: key.into(), message }
}

#[cfg(test)]
mod tests;
