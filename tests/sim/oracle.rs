//! The promises, checked while a run goes on, and against the folders, the table and the objects after it.

use std::collections::BTreeMap;
use std::path::Path;

use brandpost::config::{After, SlotsBy};
use brandpost::domain::brand::Outcome;
use brandpost::domain::failure::ErrorKind;
use brandpost::domain::notice::NoticeName;
use brandpost::domain::upload::State;
use brandpost::ledger::StatusRow;

use super::changes::BRANDS;
use super::contents::{is_good, sha256};
use super::daemon::Actor;
use super::world::World;

fn key(row: &StatusRow) -> Option<String> {
    let (slot, suffix) = (row.slot?, row.suffix.as_ref()?);
    Some(format!("qualification/{}/{}/{slot}.{suffix}", row.brand_type, row.brand_id))
}

fn brand(row: &StatusRow) -> String {
    format!("{}/{}", row.brand_type, row.brand_id)
}

impl World {
    /// What OSS has stored since the last time; only one request can have done it.
    pub fn count_puts(&mut self, actor: &mut Actor) {
        for (key, object) in self.sandbox.objects() {
            let seen = self.puts_seen.insert(key.clone(), object.puts).unwrap_or_default();
            if seen == object.puts {
                continue;
            }
            self.outcome.puts += 1;
            self.trace(format!("stored {key} {}", &object.sha256_hex[..6]));
            if self.settled.get(&key) == Some(&object.sha256_hex) {
                self.violation(format!("{key} was sent twice"));
            }
            self.settled.remove(&key);
            self.sent.insert((key.clone(), object.sha256_hex.clone()));
            actor.stored = Some((key, object.sha256_hex));
            actor.clean = true;
        }
    }

    /// An upload that was acknowledged and written down is not to be sent again.
    pub async fn note_settled(&mut self, actor: Actor) {
        let Some((key, sha256)) = actor.stored.filter(|_| actor.clean) else { return };
        let rows = self.rows().await;
        // a copy of a file whose slot was released may have that slot now
        let owner = rows.iter().find(|row| self::key(row).as_ref() == Some(&key)).map(|row| row.id);
        for row in rows {
            if row.sha256.as_ref() != Some(&sha256)
                || row.object_url.as_ref().is_none_or(|url| !url.ends_with(&key))
                || owner.is_some_and(|owner| owner != row.id)
            {
                continue;
            }
            // not the row's state: a mistake may have changed it since
            let attempts = self.ledger().report().attempts(row.id).await.unwrap();
            if attempts.last().is_some_and(|attempt| attempt.outcome == Some(Outcome::Uploaded)) {
                self.settled.insert(key.clone(), sha256.clone());
            }
        }
    }

    /// What was changed in a brand's folder, or by an operator, may be sent again.
    pub fn forget_settled(&mut self, brand: &str) {
        self.settled.retain(|key, _| !key.contains(&format!("/{brand}/")));
    }

    pub fn forget_settled_where_touched(&mut self) {
        for brand in std::mem::take(&mut self.workload().touched) {
            self.forget_settled(&brand);
        }
    }

    fn object_sha256(&self, key: &str) -> Option<String> {
        self.sandbox.objects().get(key).map(|object| object.sha256_hex.clone())
    }

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
        if self.has_failed() {
            self.outcome.trace.push(format!("{rows:#?}"));
        }
    }

    /// Every file has a row that says what became of it.
    fn check_files(&self, rows: &[StatusRow], found: &mut Vec<String>) {
        let by_path: BTreeMap<_, _> = rows.iter().map(|row| (row.path.as_str(), row)).collect();
        for folder in self.shares.iter().flat_map(|share| BRANDS.map(|brand| share.folder(brand))) {
            for entry in std::fs::read_dir(folder).unwrap() {
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
        let kind = row.error_kind;
        if path.symlink_metadata().unwrap().is_symlink() {
            if (row.state, kind) != (State::Rejected, Some(ErrorKind::NotAFile)) {
                wrong("a link is not refused");
            }
            return;
        }
        let sha256 = sha256(&std::fs::read(path).unwrap());
        if !is_good(&sha256) {
            if row.state != State::Rejected
                || !matches!(
                    kind,
                    Some(ErrorKind::UnsupportedFormat | ErrorKind::DamagedImage | ErrorKind::SuffixMismatch)
                )
            {
                wrong("no picture, and not refused as such");
            }
            return;
        }
        match row.state {
            State::Uploaded | State::Failed if row.sha256.as_ref() != Some(&sha256) => {
                wrong("another content");
            }
            State::Uploaded => {}
            State::Failed if self.may_give_up || self.settings().retry.max_attempts > 0 => {}
            State::Rejected => self.check_refusal(row, &sha256, rows, &mut wrong),
            _ => wrong("no end"),
        }
    }

    fn check_refusal(&self, row: &StatusRow, sha256: &str, rows: &[StatusRow], wrong: &mut impl FnMut(&str)) {
        let mut others = rows.iter().filter(|other| other.id != row.id && brand(other) == brand(row));
        let by_name = self.settings().slots == SlotsBy::Filename;
        match row.error_kind {
            Some(ErrorKind::LimitReached | ErrorKind::SlotTaken) if by_name => {}
            Some(ErrorKind::LimitReached) => {}
            Some(ErrorKind::Duplicate) => {
                let original =
                    |other: &StatusRow| other.sha256.as_deref() == Some(sha256) && other.state != State::Gone;
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
            match row.state {
                State::Uploaded | State::Gone => {}
                State::Failed | State::Rejected if !there => {
                    wrong("the file is gone, and the row does not say so");
                }
                State::Failed | State::Rejected => {
                    if row.error_message.as_deref().is_none_or(str::is_empty) {
                        wrong("no reason");
                    }
                }
                _ => wrong("no end"),
            }
            if row.state == State::Gone && there {
                wrong("gone, and it is there");
            }
            if row.state == State::Uploaded && tidied && there && row.slot.is_some() {
                wrong("not tidied away");
            }
            if row.state != State::Uploaded {
                continue;
            }
            match key(row) {
                None if self.slots_released => {}
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
            let waits =
                |row: &&StatusRow| brand(row) == name && row.error_kind == Some(ErrorKind::LimitReached);
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
