//! What people may do to the folders, as data.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::contents::contents;
use super::faults::weighted;

pub const BRANDS: [&str; 3] = ["OWNBRAND/1", "OWNBRAND/2", "OTHERBRAND/1"];
const NAMES: [&str; 9] =
    ["1.jpg", "2.jpg", "3.png", "10.gif", "图 片.png", "b+c.gif", "note.txt", "a.jpg.part", ".DS_Store"];

/// Paths are those beneath the inbox. `file` is a place in the list of all files, counted round; `content` one in that
/// of all contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// A whole file is renamed into its place.
    Put {
        path: String,
        content: usize,
    },
    /// The first part of a file is written; some copiers close it more than once.
    Begin {
        path: String,
        content: usize,
        percent: usize,
        closed: bool,
    },
    /// A file that was begun is written to its end and closed.
    Finish {
        file: usize,
    },
    Rewrite {
        file: usize,
        content: usize,
    },
    Touch {
        file: usize,
    },
    Delete {
        file: usize,
    },
    Rename {
        file: usize,
        path: String,
    },
    /// A symbolic link.
    Link {
        brand: String,
    },
    /// A brand's folder is moved away, or comes back.
    MoveFolder {
        brand: String,
    },
    /// The kernel's queue of events is full: all that were in it are lost.
    Overflow,
    /// The inbox is moved away; whatever the next change is, it comes back.
    MoveRoot,
}

type Draw = fn(&mut Rng) -> Change;

const CHANGES: [(u32, Draw); 11] = [
    (40, |rng| Change::Put { path: path(rng), content: content(rng) }),
    (15, begin),
    (13, |rng| Change::Finish { file: file(rng) }),
    (6, |rng| Change::Rewrite { file: file(rng), content: content(rng) }),
    (4, |rng| Change::Touch { file: file(rng) }),
    (8, |rng| Change::Delete { file: file(rng) }),
    (8, |rng| Change::Rename { file: file(rng), path: path(rng) }),
    (2, |rng| Change::Link { brand: brand(rng) }),
    (2, |rng| Change::MoveFolder { brand: brand(rng) }),
    (1, |_| Change::Overflow),
    (1, |_| Change::MoveRoot),
];

impl Change {
    pub fn draw(rng: &mut Rng) -> Self {
        weighted(rng, &CHANGES)(rng)
    }
}

fn begin(rng: &mut Rng) -> Change {
    let (path, content) = (path(rng), content(rng));
    Change::Begin { path, content, percent: rng.usize(0..=100), closed: rng.u32(0..4) == 0 }
}

pub fn brand(rng: &mut Rng) -> String {
    BRANDS[rng.usize(0..BRANDS.len())].to_owned()
}

fn path(rng: &mut Rng) -> String {
    format!("{}/{}", brand(rng), NAMES[rng.usize(0..NAMES.len())])
}

fn content(rng: &mut Rng) -> usize {
    rng.usize(0..contents().len())
}

fn file(rng: &mut Rng) -> usize {
    rng.usize(0..100)
}
