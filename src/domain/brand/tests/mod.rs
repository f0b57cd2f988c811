//! The rules, in tables and against every sequence of events that chance comes up with.

mod events;
mod invariants;
mod naive;
mod rules;

use std::path::PathBuf;

use jiff::Timestamp;

use super::{Brand, BrandId, Inbox, InboxId, InspectedFile, Inspection, Moment, Upload, UploadId};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::image::{Dimensions, Format};
use crate::domain::upload::{Digests, Picture, Stamp};

/// How many slots the brand has: few, so that they run out.
const SLOTS: u32 = 3;

fn brand() -> Brand {
    Brand::new(BrandId(1), "OWNBRAND/1001".parse().unwrap(), SLOTS, [], [], UploadId(1))
}

fn inbox() -> Inbox {
    Inbox::new(InboxId(1), "hz-1")
}

fn moment(second: i64) -> Moment {
    let now = Timestamp::from_second(1_800_000_000 + second).unwrap();
    Moment { inbox: inbox(), now, round: 0, suspended: false, hold_before: None }
}

fn path(file: u8) -> PathBuf {
    format!("/inbox/OWNBRAND/1001/{file}.jpg").into()
}

fn picture(content: u8) -> Picture {
    Picture {
        format: Format::Jpeg,
        dimensions: Dimensions { width: 1, height: 1 },
        digests: Digests { sha256: format!("{content:064}"), md5: "x".into(), crc64: u64::from(content) },
    }
}

/// File `file` holds this content (0: it is damaged), and asks for this slot.
fn found(file: u8, content: u8, wanted: Option<u32>) -> InspectedFile {
    InspectedFile {
        path: path(file),
        stamp: Stamp { size: 1, mtime_ns: i64::from(content), inode: u64::from(file) },
        ctime_ns: 0,
        inspection: match content {
            0 => Inspection::Rejected(Failure::new(ErrorKind::DamagedImage, "damaged")),
            content => Inspection::Picture(picture(content), wanted),
        },
    }
}

fn at(brand: &Brand, file: u8) -> &Upload {
    brand.file_at(inbox().id, &path(file)).unwrap()
}
