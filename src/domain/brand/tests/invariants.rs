//! Each invariant is found broken where it is.

use super::{SLOTS, brand, found, moment};
use crate::domain::brand::invariants::{OF_BRAND, OF_FILE};
use crate::domain::brand::{Absent, Brand, BrandId, Upload, UploadId, UploadState};
use crate::domain::failure::{ErrorKind, Failure};

type Break = fn(&mut Upload);

/// How a file that is queued, the second of two, is brought out of order.
const BROKEN: &[(&str, Break)] = &[
    ("a slot that is another's, or reserved", |file| file.slot = Some(1)),
    ("a path that is another's", |file| file.path = super::path(1)),
    ("a copy of nothing", |file| reject(file, ErrorKind::Duplicate, Some(UploadId(99)))),
    ("a wait beside a free slot", |file| reject(file, ErrorKind::LimitReached, None)),
    ("work without a slot", |file| file.slot = None),
    ("work without a picture", |file| file.picture = None),
    ("uploaded, and nobody knows when", |file| file.state = UploadState::Uploaded),
    ("uploaded, and nobody knows what", |file| {
        (file.state, file.uploaded_at, file.picture) = (UploadState::Uploaded, Some(file.detected_at), None);
    }),
    ("more rechecks done than requested", |file| file.recheck.done += 1),
    ("an object without a slot", |file| {
        (file.slot, file.object_sha256) = (None, Some("0".into()));
    }),
    ("a slot that is not needed", |file| file.state = UploadState::Gone),
];

fn reject(file: &mut Upload, kind: ErrorKind, duplicate_of: Option<UploadId>) {
    file.state = UploadState::Rejected { failure: Failure::new(kind, "why"), duplicate_of };
    file.slot = None;
}

fn two_files() -> Vec<Upload> {
    let mut brand = brand();
    for file in [1, 2] {
        brand.take_in(&found(file, file, None), Absent::default(), &moment(0));
    }
    assert_eq!(brand.check(), [""; 0]);
    brand.files().cloned().collect()
}

#[test]
fn each_is_named_when_it_is_broken() {
    for (what, break_it) in BROKEN {
        let mut files = two_files();
        break_it(&mut files[1]);
        let key = "OWNBRAND/1001".parse().unwrap();
        let broken = Brand::new(BrandId(1), key, SLOTS, [], files, UploadId(3)).check();
        assert!(broken.iter().any(|line| line.starts_with(&format!("{what}: "))), "{what}: {broken:?}");
    }
    let all = OF_BRAND.iter().map(|(what, _)| what).chain(OF_FILE.iter().map(|(what, _)| what));
    assert!(all.eq(BROKEN.iter().map(|(what, _)| what)), "each has its row, in this order");
}
