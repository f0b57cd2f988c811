//! The people who drop files: what they do to the folders, and what a watcher reports of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::event::{
    AccessKind, AccessMode, CreateKind, DataChange, Event, EventKind, Flag, MetadataKind, ModifyKind,
    RemoveKind, RenameMode,
};

use super::changes::{BRANDS, Change};
use super::contents::{Content, contents};

/// The folders, and the events of them that are still on their way.
pub struct Workload {
    place: PathBuf,
    /// Half-written files and the rest of their bytes.
    unfinished: BTreeMap<PathBuf, Vec<u8>>,
    pub events: Vec<Event>,
    /// Brands whose contents changed since they were last taken.
    pub touched: BTreeSet<String>,
    root_away: bool,
    time: i64,
    /// So often was something written.
    writes: u32,
}

impl Workload {
    pub fn new(place: &Path) -> Self {
        for brand in BRANDS {
            fs::create_dir_all(place.join("inbox").join(brand)).unwrap();
        }
        Self {
            place: place.to_owned(),
            unfinished: BTreeMap::new(),
            events: Vec::new(),
            touched: BTreeSet::new(),
            root_away: false,
            time: 0,
            writes: 0,
        }
    }

    fn inbox(&self) -> PathBuf {
        self.place.join("inbox")
    }

    pub fn folder(&self, brand: &str) -> PathBuf {
        self.inbox().join(brand)
    }

    fn report(&mut self, kind: EventKind, path: &Path) {
        self.events.push(Event::new(kind).add_path(path.to_owned()));
    }

    /// Changes the folders and says how. `wall` stamps what is written, in seconds since 1970.
    pub fn apply(&mut self, change: &Change, wall: i64) -> String {
        self.time = wall;
        if self.root_away {
            return self.root_back();
        }
        match change {
            Change::Put { path, content } => self.put(path, &contents()[*content]),
            Change::Begin { path, content, percent, closed } => {
                self.begin(path, &contents()[*content], *percent, *closed)
            }
            Change::Finish { file } => self.finish(*file),
            Change::Rewrite { file, content } => self.rewrite(*file, &contents()[*content]),
            Change::Touch { file } => self.touch(*file),
            Change::Delete { file } => self.delete(*file),
            Change::Rename { file, path } => self.rename(*file, path),
            Change::Link { brand } => self.link(brand),
            Change::MoveFolder { brand } => self.move_folder(brand),
            Change::Overflow => self.overflow(),
            Change::MoveRoot => self.root_goes(),
        }
    }

    /// Everything that was begun is ended: what is there now stays.
    pub fn come_to_rest(&mut self) {
        if self.root_away {
            self.root_back();
        }
        for brand in BRANDS {
            let away = self.place.join(format!("away-{}", brand.replace('/', "-")));
            if away.exists() && !self.folder(brand).exists() {
                fs::rename(away, self.folder(brand)).unwrap();
            }
            fs::create_dir_all(self.folder(brand)).unwrap();
        }
        for (path, rest) in std::mem::take(&mut self.unfinished) {
            append(&path, &rest);
        }
    }

    fn note(&mut self, path: &Path) {
        let brand = path.parent().and_then(|folder| folder.strip_prefix(self.inbox()).ok());
        self.touched.extend(brand.map(|brand| brand.to_string_lossy().into_owned()));
    }

    /// File systems tell two writes apart by their times, as the clock may not: it can stand still, or go back.
    fn stamp(&mut self, path: &Path) {
        self.writes += 1;
        let time = SystemTime::UNIX_EPOCH + Duration::new(self.time.max(0).cast_unsigned(), self.writes);
        set_modified(path, time);
        change_ctime(path);
    }

    fn some_file(&self, which: usize) -> Option<PathBuf> {
        let mut files: Vec<PathBuf> = BRANDS
            .iter()
            .filter_map(|brand| fs::read_dir(self.folder(brand)).ok())
            .flatten()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_file()))
            .collect();
        files.sort();
        files.get(which.checked_rem(files.len())?).cloned()
    }

    fn put(&mut self, path: &str, content: &Content) -> String {
        let path = self.inbox().join(path);
        let Some(folder) = path.parent().filter(|folder| folder.is_dir()) else {
            return "put: no folder".into();
        };
        let hidden = folder.join(".copy");
        fs::write(&hidden, &content.bytes).unwrap();
        self.stamp(&hidden);
        if path.exists() {
            self.note(&path);
        }
        self.unfinished.remove(&path);
        fs::rename(hidden, &path).unwrap();
        change_ctime(&path);
        self.report(EventKind::Modify(ModifyKind::Name(RenameMode::To)), &path);
        format!("put {} {}", path.display(), &content.sha256[..6])
    }

    fn begin(&mut self, path: &str, content: &Content, percent: usize, closed: bool) -> String {
        let path = self.inbox().join(path);
        if !path.parent().unwrap().is_dir() || path.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
            return "begin: no folder".into();
        }
        let length = content.bytes.len();
        let half = length * percent / 100;
        // a picture that lacks only its end marker is taken, after a while
        let half = if half + 2 >= length { length } else { half };
        self.note(&path);
        fs::write(&path, &content.bytes[..half]).unwrap();
        self.stamp(&path);
        self.unfinished.insert(path.clone(), content.bytes[half..].to_vec());
        self.report(EventKind::Create(CreateKind::File), &path);
        self.report(EventKind::Modify(ModifyKind::Data(DataChange::Any)), &path);
        if closed {
            self.report(EventKind::Access(AccessKind::Close(AccessMode::Write)), &path);
        }
        format!("begin {} {} {half}", path.display(), &content.sha256[..6])
    }

    fn finish(&mut self, file: usize) -> String {
        let count = self.unfinished.len();
        let which = file.checked_rem(count).and_then(|which| self.unfinished.keys().nth(which).cloned());
        let Some(path) = which else { return "finish: nothing".into() };
        let rest = self.unfinished.remove(&path).unwrap();
        self.note(&path);
        append(&path, &rest);
        self.stamp(&path);
        self.report(EventKind::Modify(ModifyKind::Data(DataChange::Any)), &path);
        self.report(EventKind::Access(AccessKind::Close(AccessMode::Write)), &path);
        format!("finish {}", path.display())
    }

    fn rewrite(&mut self, file: usize, content: &Content) -> String {
        let Some(path) = self.some_file(file) else { return "rewrite: nothing".into() };
        self.note(&path);
        self.unfinished.remove(&path);
        fs::write(&path, &content.bytes).unwrap();
        self.stamp(&path);
        self.report(EventKind::Modify(ModifyKind::Data(DataChange::Any)), &path);
        self.report(EventKind::Access(AccessKind::Close(AccessMode::Write)), &path);
        format!("rewrite {} {}", path.display(), &content.sha256[..6])
    }

    fn touch(&mut self, file: usize) -> String {
        let Some(path) = self.some_file(file) else { return "touch: nothing".into() };
        self.stamp(&path);
        self.report(EventKind::Modify(ModifyKind::Metadata(MetadataKind::WriteTime)), &path);
        format!("touch {}", path.display())
    }

    fn delete(&mut self, file: usize) -> String {
        let Some(path) = self.some_file(file) else { return "delete: nothing".into() };
        self.note(&path);
        self.unfinished.remove(&path);
        fs::remove_file(&path).unwrap();
        self.report(EventKind::Remove(RemoveKind::File), &path);
        format!("delete {}", path.display())
    }

    fn rename(&mut self, file: usize, path: &str) -> String {
        let Some(from) = self.some_file(file) else { return "rename: nothing".into() };
        let to = self.inbox().join(path);
        if from == to || !to.parent().unwrap().is_dir() {
            return "rename: nowhere".into();
        }
        self.note(&from);
        self.note(&to);
        fs::rename(&from, &to).unwrap();
        change_ctime(&to);
        self.unfinished.remove(&to);
        if let Some(rest) = self.unfinished.remove(&from) {
            self.unfinished.insert(to.clone(), rest);
        }
        self.report(EventKind::Modify(ModifyKind::Name(RenameMode::From)), &from);
        self.report(EventKind::Modify(ModifyKind::Name(RenameMode::To)), &to);
        format!("rename {} {}", from.display(), to.display())
    }

    fn link(&mut self, brand: &str) -> String {
        let path = self.folder(brand).join("link.jpg");
        if std::os::unix::fs::symlink("1.jpg", &path).is_err() {
            return "link: no".into();
        }
        self.report(EventKind::Create(CreateKind::File), &path);
        format!("link {}", path.display())
    }

    /// A brand's folder is moved away or comes back; what was being written into it is given up.
    fn move_folder(&mut self, brand: &str) -> String {
        let (folder, away) =
            (self.folder(brand), self.place.join(format!("away-{}", brand.replace('/', "-"))));
        self.unfinished.retain(|path, _| !path.starts_with(&folder));
        self.touched.insert(brand.to_owned());
        if away.exists() {
            if folder.exists() {
                fs::remove_dir_all(&folder).unwrap();
            }
            fs::rename(away, &folder).unwrap();
            self.report(EventKind::Modify(ModifyKind::Name(RenameMode::To)), &folder);
            return format!("folder {brand} is back");
        }
        if folder.exists() {
            fs::rename(&folder, away).unwrap();
            self.report(EventKind::Modify(ModifyKind::Name(RenameMode::From)), &folder);
            return format!("folder {brand} goes");
        }
        "folder: no".into()
    }

    fn overflow(&mut self) -> String {
        self.events.clear();
        self.events.push(Event::new(EventKind::Other).set_flag(Flag::Rescan));
        "overflow".into()
    }

    fn root_goes(&mut self) -> String {
        fs::rename(self.inbox(), self.place.join("inbox-away")).unwrap();
        self.root_away = true;
        "root goes".into()
    }

    fn root_back(&mut self) -> String {
        fs::rename(self.place.join("inbox-away"), self.inbox()).unwrap();
        self.root_away = false;
        "root is back".into()
    }
}

/// Gives the file a ctime that no other has, so that the order of the queue does not depend on the kernel's ticks: since
/// Linux 6.13 one that was looked at is followed by the exact time.
fn change_ctime(path: &Path) {
    if let Ok(modified) = path.symlink_metadata().and_then(|meta| meta.modified()) {
        set_modified(path, modified);
    }
}

fn set_modified(path: &Path, time: SystemTime) {
    // a link or a missing file has no time of ours
    let _ = fs::File::options().write(true).open(path).and_then(|file| file.set_modified(time));
}

fn append(path: &Path, rest: &[u8]) {
    // whoever writes it may have lost it meanwhile
    if let Ok(mut file) = fs::File::options().append(true).open(path) {
        file.write_all(rest).unwrap();
    }
}
