//! The folders that are watched, how they are looked at, and where pictures go afterwards.

use std::path::PathBuf;
use std::time::Duration;

use super::Resolver;
use crate::config::folders;
use crate::config::settings::{After, BrandFolder, Upload, Watch, WatchMode};
use crate::domain::brand::{BrandKey, BrandType, clean_label};
use crate::domain::glob::Glob;

/// The most slots a brand can have; the platform's own limit is 10.
const MOST_SLOTS: u32 = 1000;

/// How many characters the name of an inbox may have.
const LONGEST_INBOX: usize = 100;

/// Bytes: as long as the name of a folder may be.
const LONGEST_LABEL: usize = 255;

impl Resolver<'_> {
    pub(super) fn watch(&mut self) -> Watch {
        let file = self.file().watch.clone();
        let modes = [("auto", WatchMode::Auto), ("native", WatchMode::Native), ("poll", WatchMode::Poll)];
        Watch {
            root: self.own_path("watch.root", &file.root),
            inbox: self.inbox(file.inbox),
            settle: self.at_least("watch.settle", file.settle.0, Duration::from_millis(10)),
            grace: file.grace.0,
            rescan: self.at_least("watch.rescan", file.rescan.0, Duration::from_millis(100)),
            ignore: self.ignored(&file.ignore),
            mode: self.choice("watch.mode", &file.mode, &modes),
            poll_interval: self.at_least(
                "watch.poll_interval",
                file.poll_interval.0,
                Duration::from_millis(50),
            ),
        }
    }

    /// The name of the inbox: the host's, unless it has one of its own.
    fn inbox(&mut self, name: String) -> String {
        let name = match name.is_empty() {
            true => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            false => name,
        };
        if name.chars().count() > LONGEST_INBOX || name.trim() != name || name.chars().any(char::is_control) {
            self.wrong("watch.inbox", "a name has at most 100 characters, none of them a control character, and no blanks around it");
        }
        name
    }

    fn ignored(&mut self, patterns: &[String]) -> Vec<Glob> {
        let mut globs = Vec::new();
        for pattern in patterns {
            match Glob::parse(pattern) {
                Ok(glob) => globs.push(glob),
                Err(why) => self.wrong("watch.ignore", format!("the pattern \"{pattern}\" {why}")),
            }
        }
        globs
    }

    pub(super) fn brands(&mut self, max_per_brand: u32) -> Vec<BrandFolder> {
        let (mut folders, mut keys): (Vec<BrandFolder>, Vec<String>) = Default::default();
        for (number, entry) in self.file().brand.clone().into_iter().enumerate() {
            let key = format!("brand[{number}]");
            let brand = entry.r#type.parse::<BrandType>().and_then(|kind| BrandKey::new(kind, entry.id));
            let max = entry.max.unwrap_or(max_per_brand);
            self.slot_count(&key, max);
            match brand {
                Err(error) => self.wrong(&key, error.to_string()),
                Ok(brand) => {
                    let path = self.own_path(&key, &entry.path);
                    if folders.iter().any(|other| other.brand == brand || other.path == path) {
                        self.wrong(&key, format!("{brand} or its folder is here twice"));
                    }
                    let label = self.label(&key, entry.label.as_deref());
                    folders.push(BrandFolder { brand, label, path, max });
                    keys.push(key);
                }
            }
        }
        let root = self.path(&self.file().watch.root);
        for (at, why) in folders::clashes(&root, &folders) {
            self.wrong(&keys[at], why);
        }
        folders
    }

    fn label(&mut self, key: &str, label: Option<&str>) -> Option<String> {
        let label = clean_label(label?)?;
        if label.len() > LONGEST_LABEL {
            self.wrong(key, format!("its label is longer than {LONGEST_LABEL} bytes"));
        }
        Some(label)
    }

    /// As `path`, for those that people type.
    pub(super) fn own_path(&mut self, key: &str, text: &str) -> PathBuf {
        if text.starts_with('~') {
            self.wrong(key, format!("\"~\" is not replaced here: write the whole path instead of {text}"));
        }
        self.path(text)
    }

    pub(super) fn slot_count(&mut self, key: &str, count: u32) {
        if !(1..=MOST_SLOTS).contains(&count) {
            self.wrong(key, format!("a brand has from 1 to {MOST_SLOTS} slots, not {count}"));
        }
    }

    pub(super) fn upload(&mut self) -> Upload {
        let file = self.file().upload.clone();
        let choices = [("keep", After::Keep), ("archive", After::Archive), ("delete", After::Delete)];
        let after = self.choice("upload.after", &file.after, &choices);
        let archive = self.own_path("upload.archive", &file.archive);
        let root = self.path(&self.file().watch.root);
        if after == After::Archive && archive.starts_with(&root) {
            self.wrong("upload.archive", "lies in the watched folder; put it beside it");
        }
        Upload { after, archive }
    }
}
