//! The people who drop files: what they do to the folders, and what a watcher tells of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use notify::event::{
    AccessKind, AccessMode, CreateKind, DataChange, Event, EventKind, Flag, MetadataKind, ModifyKind,
    RemoveKind, RenameMode,
};
use sha2::{Digest, Sha256};

pub const BRANDS: [&str; 3] = ["OWNBRAND/1", "OWNBRAND/2", "OTHERBRAND/1"];
const NAMES: [&str; 9] =
    ["1.jpg", "2.jpg", "3.png", "10.gif", "图 片.png", "b+c.gif", "note.txt", "a.jpg.part", ".DS_Store"];

/// Bytes that people drop.
pub struct Content {
    pub bytes: Vec<u8>,
    pub sha256: String,
    /// A sound picture.
    pub good: bool,
}

pub fn sha256(bytes: &[u8]) -> String {
    brandpost::domain::text::hex(&Sha256::digest(bytes))
}

fn draw(seed: u8, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(4, 3, |x, y| Rgb([seed * 9, (x * 60) as u8, (y * 80) as u8 ^ seed]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn contents() -> &'static [Content] {
    static CONTENTS: OnceLock<Vec<Content>> = OnceLock::new();
    CONTENTS.get_or_init(|| {
        let formats = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif];
        let good = (0..8).map(|seed| (draw(seed, formats[usize::from(seed) % 3]), true));
        let whole = draw(20, ImageFormat::Jpeg);
        let bad = [b"no picture".to_vec(), Vec::new(), whole[..whole.len() / 2].to_vec()];
        good.chain(bad.map(|bytes| (bytes, false)))
            .map(|(bytes, good)| Content { sha256: sha256(&bytes), bytes, good })
            .collect()
    })
}

/// The folders, and the news of them that are still on their way.
pub struct Shelf {
    place: PathBuf,
    /// Half-written files and the rest of their bytes.
    unfinished: BTreeMap<PathBuf, Vec<u8>>,
    pub news: Vec<Event>,
    /// Brands whose contents changed since they were last taken.
    pub stirred: BTreeSet<String>,
    root_away: bool,
    time: i64,
    /// So often was something written.
    writes: u32,
}

impl Shelf {
    pub fn new(place: &Path) -> Self {
        for brand in BRANDS {
            fs::create_dir_all(place.join("inbox").join(brand)).unwrap();
        }
        Self {
            place: place.to_owned(),
            unfinished: BTreeMap::new(),
            news: Vec::new(),
            stirred: BTreeSet::new(),
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

    fn tell(&mut self, kind: EventKind, path: &Path) {
        self.news.push(Event::new(kind).add_path(path.to_owned()));
    }

    /// Something that people do. `wall` stamps what is written, in seconds since 1970.
    pub fn act(&mut self, rng: &mut Rng, wall: i64) -> String {
        self.time = wall;
        if self.root_away {
            return self.root_back();
        }
        match rng.u32(0..100) {
            0..40 => self.put(rng),
            40..55 => self.begin(rng),
            55..68 => self.go_on(rng),
            68..74 => self.rewrite(rng),
            74..78 => self.touch(rng),
            78..86 => self.delete(rng),
            86..94 => self.rename(rng),
            94..96 => self.link(rng),
            96..98 => self.move_folder(rng),
            98 => self.overflow(),
            _ => self.root_goes(),
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

    fn stir(&mut self, path: &Path) {
        let brand = path.parent().and_then(|folder| folder.strip_prefix(self.inbox()).ok());
        self.stirred.extend(brand.map(|brand| brand.to_string_lossy().into_owned()));
    }

    /// File systems tell two writes apart by their times, as the clock may not: it can stand still, or go back.
    fn stamp(&mut self, path: &Path) {
        self.writes += 1;
        let time = SystemTime::UNIX_EPOCH + Duration::new(self.time.max(0).cast_unsigned(), self.writes);
        // a link or a missing file has no time of ours
        let _ = fs::File::options().write(true).open(path).and_then(|file| file.set_modified(time));
    }

    fn free_path(&self, rng: &mut Rng) -> PathBuf {
        self.folder(rng.choice(BRANDS).unwrap()).join(rng.choice(NAMES).unwrap())
    }

    fn some_file(&self, rng: &mut Rng) -> Option<PathBuf> {
        let mut files: Vec<PathBuf> = BRANDS
            .iter()
            .filter_map(|brand| fs::read_dir(self.folder(brand)).ok())
            .flatten()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_file()))
            .collect();
        files.sort();
        rng.choice(files)
    }

    fn put(&mut self, rng: &mut Rng) -> String {
        let (path, content) = (self.free_path(rng), rng.choice(contents()).unwrap());
        let Some(folder) = path.parent().filter(|folder| folder.is_dir()) else {
            return "put: no folder".into();
        };
        let hidden = folder.join(".copy");
        fs::write(&hidden, &content.bytes).unwrap();
        self.stamp(&hidden);
        if path.exists() {
            self.stir(&path);
        }
        self.unfinished.remove(&path);
        fs::rename(hidden, &path).unwrap();
        self.tell(EventKind::Modify(ModifyKind::Name(RenameMode::To)), &path);
        format!("put {} {}", path.display(), &content.sha256[..6])
    }

    fn begin(&mut self, rng: &mut Rng) -> String {
        let (path, content) = (self.free_path(rng), rng.choice(contents()).unwrap());
        if !path.parent().unwrap().is_dir() || path.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
            return "begin: no folder".into();
        }
        let length = content.bytes.len();
        let half = rng.usize(0..=length);
        // a picture that lacks only its end marker is taken, after a while
        let half = if half + 2 >= length { length } else { half };
        self.stir(&path);
        fs::write(&path, &content.bytes[..half]).unwrap();
        self.stamp(&path);
        self.unfinished.insert(path.clone(), content.bytes[half..].to_vec());
        self.tell(EventKind::Create(CreateKind::File), &path);
        self.tell(EventKind::Modify(ModifyKind::Data(DataChange::Any)), &path);
        if rng.u32(0..4) == 0 {
            // some copiers close more than once
            self.tell(EventKind::Access(AccessKind::Close(AccessMode::Write)), &path);
        }
        format!("begin {} {} {half}", path.display(), &content.sha256[..6])
    }

    fn go_on(&mut self, rng: &mut Rng) -> String {
        let paths: Vec<_> = self.unfinished.keys().cloned().collect();
        let Some(path) = rng.choice(paths) else { return "go on: nothing".into() };
        let rest = self.unfinished.remove(&path).unwrap();
        self.stir(&path);
        append(&path, &rest);
        self.stamp(&path);
        self.tell(EventKind::Modify(ModifyKind::Data(DataChange::Any)), &path);
        self.tell(EventKind::Access(AccessKind::Close(AccessMode::Write)), &path);
        format!("end {}", path.display())
    }

    fn rewrite(&mut self, rng: &mut Rng) -> String {
        let Some(path) = self.some_file(rng) else { return "rewrite: nothing".into() };
        let content = rng.choice(contents()).unwrap();
        self.stir(&path);
        self.unfinished.remove(&path);
        fs::write(&path, &content.bytes).unwrap();
        self.stamp(&path);
        self.tell(EventKind::Modify(ModifyKind::Data(DataChange::Any)), &path);
        self.tell(EventKind::Access(AccessKind::Close(AccessMode::Write)), &path);
        format!("rewrite {} {}", path.display(), &content.sha256[..6])
    }

    fn touch(&mut self, rng: &mut Rng) -> String {
        let Some(path) = self.some_file(rng) else { return "touch: nothing".into() };
        self.stamp(&path);
        self.tell(EventKind::Modify(ModifyKind::Metadata(MetadataKind::WriteTime)), &path);
        format!("touch {}", path.display())
    }

    fn delete(&mut self, rng: &mut Rng) -> String {
        let Some(path) = self.some_file(rng) else { return "delete: nothing".into() };
        self.stir(&path);
        self.unfinished.remove(&path);
        fs::remove_file(&path).unwrap();
        self.tell(EventKind::Remove(RemoveKind::File), &path);
        format!("delete {}", path.display())
    }

    fn rename(&mut self, rng: &mut Rng) -> String {
        let Some(from) = self.some_file(rng) else { return "rename: nothing".into() };
        let to = self.free_path(rng);
        if from == to || !to.parent().unwrap().is_dir() {
            return "rename: nowhere".into();
        }
        self.stir(&from);
        self.stir(&to);
        fs::rename(&from, &to).unwrap();
        self.unfinished.remove(&to);
        if let Some(rest) = self.unfinished.remove(&from) {
            self.unfinished.insert(to.clone(), rest);
        }
        self.tell(EventKind::Modify(ModifyKind::Name(RenameMode::From)), &from);
        self.tell(EventKind::Modify(ModifyKind::Name(RenameMode::To)), &to);
        format!("rename {} {}", from.display(), to.display())
    }

    fn link(&mut self, rng: &mut Rng) -> String {
        let path = self.folder(rng.choice(BRANDS).unwrap()).join("link.jpg");
        if std::os::unix::fs::symlink("1.jpg", &path).is_err() {
            return "link: no".into();
        }
        self.tell(EventKind::Create(CreateKind::File), &path);
        format!("link {}", path.display())
    }

    /// A brand's folder is moved away or comes back; what was being written into it is given up.
    fn move_folder(&mut self, rng: &mut Rng) -> String {
        let brand = rng.choice(BRANDS).unwrap();
        let (folder, away) =
            (self.folder(brand), self.place.join(format!("away-{}", brand.replace('/', "-"))));
        self.unfinished.retain(|path, _| !path.starts_with(&folder));
        self.stirred.insert(brand.to_owned());
        if away.exists() {
            if folder.exists() {
                fs::remove_dir_all(&folder).unwrap();
            }
            fs::rename(away, &folder).unwrap();
            self.tell(EventKind::Modify(ModifyKind::Name(RenameMode::To)), &folder);
            return format!("folder {brand} is back");
        }
        if folder.exists() {
            fs::rename(&folder, away).unwrap();
            self.tell(EventKind::Modify(ModifyKind::Name(RenameMode::From)), &folder);
            return format!("folder {brand} goes");
        }
        "folder: no".into()
    }

    fn overflow(&mut self) -> String {
        self.news.clear();
        self.news.push(Event::new(EventKind::Other).set_flag(Flag::Rescan));
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

fn append(path: &Path, rest: &[u8]) {
    // whoever writes it may have lost it meanwhile
    if let Ok(mut file) = fs::File::options().append(true).open(path) {
        file.write_all(rest).unwrap();
    }
}
