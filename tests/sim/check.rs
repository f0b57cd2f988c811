//! The promises, checked against the folders, the table and the objects after a run.

use std::collections::BTreeMap;
use std::path::Path;

use brandpost::config::{After, SlotsBy};
use brandpost::domain::failure::ErrorKind;
use brandpost::domain::notice::NoticeName;
use brandpost::ledger::StatusRow;

use super::shelf::{BRANDS, contents, sha256};
use super::world::World;

fn key(row: &StatusRow) -> Option<String> {
    let (slot, suffix) = (row.slot?, row.suffix.as_ref()?);
    Some(format!("qualification/{}/{}/{slot}.{suffix}", row.brand_type, row.brand_id))
}

fn brand(row: &StatusRow) -> String {
    format!("{}/{}", row.brand_type, row.brand_id)
}

fn is_good(sha256: &str) -> bool {
    contents().iter().any(|content| content.good && content.sha256 == sha256)
}

impl World {
    pub async fn check(&mut self) {
        let rows = self.rows().await;
        let mut found = Vec::new();
        self.check_files(&rows, &mut found);
        self.check_rows(&rows, &mut found);
        self.check_slots(&rows, &mut found).await;
        for (key, sha256) in &self.sent {
            if !is_good(sha256) {
                found.push(format!("{key} was sent with bytes that are no whole picture"));
            }
        }
        for row in &rows {
            let open = self.ledger().report().attempts(row.id).await.unwrap();
            if open.iter().any(|attempt| attempt.outcome.is_none()) {
                found.push(format!("an attempt of {} was never ended", row.path));
            }
        }
        let notices = self.ledger().report().notices().await.unwrap();
        // an open breaker closes when there is a file to probe with
        if notices.iter().any(|notice| notice.name != NoticeName::Paused) {
            found.push(format!("a notice stands: {notices:?}"));
        }
        for line in found {
            self.violation(line);
        }
        if !self.outcome.violations.is_empty() {
            self.outcome.trace.push(format!("{rows:#?}"));
        }
    }

    /// Every file has a row that says what became of it.
    fn check_files(&self, rows: &[StatusRow], found: &mut Vec<String>) {
        let by_path: BTreeMap<_, _> = rows.iter().map(|row| (row.path.as_str(), row)).collect();
        for brand in BRANDS {
            for entry in std::fs::read_dir(self.shelf.folder(brand)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy();
                if name.starts_with('.') || name.ends_with(".part") {
                    continue;
                }
                match by_path.get(path.to_str().unwrap()) {
                    None => found.push(format!("{} was lost", path.display())),
                    Some(row) => self.check_file(&path, row, rows, found),
                }
            }
        }
    }

    fn check_file(&self, path: &Path, row: &StatusRow, rows: &[StatusRow], found: &mut Vec<String>) {
        let mut wrong = |what: &str| found.push(format!("{}: {what}: {row:#?}", path.display()));
        let kind = row.error_kind.map(ErrorKind::as_str);
        if path.symlink_metadata().unwrap().is_symlink() {
            if (row.state.as_str(), kind) != ("rejected", Some("not_a_file")) {
                wrong("a link is not refused");
            }
            return;
        }
        let sha256 = sha256(&std::fs::read(path).unwrap());
        if !is_good(&sha256) {
            if row.state.as_str() != "rejected"
                || !matches!(kind, Some("unsupported_format" | "damaged_image" | "suffix_mismatch"))
            {
                wrong("no picture, and not refused as such");
            }
            return;
        }
        match row.state.as_str() {
            "uploaded" | "failed" if row.sha256.as_ref() != Some(&sha256) => wrong("another content"),
            "uploaded" => {}
            "failed" if self.gave_up || self.settings().retry.max_attempts > 0 => {}
            "rejected" => self.check_refusal(row, &sha256, rows, &mut wrong),
            _ => wrong("no end"),
        }
    }

    fn check_refusal(&self, row: &StatusRow, sha256: &str, rows: &[StatusRow], wrong: &mut impl FnMut(&str)) {
        let mut others = rows.iter().filter(|other| other.id != row.id && brand(other) == brand(row));
        let by_name = self.settings().slots == SlotsBy::Filename;
        match row.error_kind.map(ErrorKind::as_str) {
            Some("limit_reached" | "slot_taken") if by_name => {}
            Some("limit_reached") => {}
            Some("duplicate") => {
                let original = |other: &StatusRow| {
                    other.sha256.as_deref() == Some(sha256) && !matches!(other.state.as_str(), "gone")
                };
                if !others.any(original) {
                    wrong("refused as a copy of nothing");
                }
            }
            _ => wrong("a sound picture is refused"),
        }
    }

    /// Every row has an end, a reason, and its object.
    fn check_rows(&self, rows: &[StatusRow], found: &mut Vec<String>) {
        let tidied = self.settings().upload.after != After::Keep;
        for row in rows {
            let there = Path::new(&row.path).symlink_metadata().is_ok();
            let mut wrong = |what: &str| found.push(format!("{}: {what}: {row:#?}", row.path));
            match row.state.as_str() {
                "uploaded" | "gone" => {}
                "failed" | "rejected" if !there => wrong("the file is gone, and the row does not say so"),
                "failed" | "rejected" => {
                    if row.error_message.as_deref().is_none_or(str::is_empty) {
                        wrong("no reason");
                    }
                }
                _ => wrong("no end"),
            }
            if row.state.as_str() == "gone" && there {
                wrong("gone, and it is there");
            }
            if row.state.as_str() == "uploaded" && tidied && there && row.slot.is_some() {
                wrong("not tidied away");
            }
            if row.state.as_str() != "uploaded" {
                continue;
            }
            match key(row) {
                None if self.released => {}
                None => wrong("uploaded without a slot"),
                Some(key) if self.object_sha256(&key) != row.sha256 => {
                    wrong(&format!("the object {key} has other bytes: {:?}", self.object_sha256(&key)));
                }
                Some(_) => {}
            }
        }
    }

    /// A file waits for a slot only while there is none.
    async fn check_slots(&self, rows: &[StatusRow], found: &mut Vec<String>) {
        if self.settings().slots == SlotsBy::Filename {
            return;
        }
        let summary = self.ledger().report().brands(None, None, None).await.unwrap();
        for name in BRANDS {
            let mut taken = rows.iter().filter(|row| brand(row) == name).filter_map(|row| row.slot).count();
            let this = summary.iter().find(|row| format!("{}/{}", row.brand_type, row.brand_id) == name);
            taken += this.map_or(0, |row| usize::try_from(row.slots_reserved).unwrap());
            let waits = |row: &&StatusRow| {
                brand(row) == name && row.error_kind.map(ErrorKind::as_str) == Some("limit_reached")
            };
            if taken > 3 {
                found.push(format!("{name} has {taken} slots taken"));
            }
            if taken < 3 {
                found
                    .extend(rows.iter().find(waits).map(|row| format!("waits beside a free slot: {row:#?}")));
            }
        }
    }
}
