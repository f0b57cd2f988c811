//! JPEGs that are made to keep a reader busy: the work and the memory have bounds that follow from the size of the file
//! and of the picture.

use std::time::Duration;

use super::super::Jpeg;
use crate::work::steps_of;
use crate::{Budget, Depth, Flaw, Whole};

/// As intake reads files.
const PART: usize = 256 << 10;

/// The most that is kept of a file at a time, bytes.
const MOST_KEPT: usize = 192 << 10;

const SIDE: u16 = 2048;
const BLOCKS: usize = 1 << 16;

/// One code of [`head`] covers so many blocks, and so many lie between two restart markers.
const INTERVAL: u16 = 1 << 14;

/// More than any honest walk takes: steps for each byte, and for each block in each scan.
const A_BYTE: usize = 16;
const A_BLOCK: usize = 2;

fn segment(code: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xff, code][..], &length, content].concat()
}

/// The beginning of a grey progressive picture, with all of its DC coefficients. Its AC table has one code: 0, and 14 bits,
/// for the end of the band in 2^14 blocks, and in as many more as the bits say.
fn head(restart_interval: u16) -> Vec<u8> {
    let [high, low] = SIDE.to_be_bytes();
    [
        vec![0xff, 0xd8],
        segment(0xdb, &[&[0][..], &[1; 64]].concat()),
        segment(0xc2, &[8, high, low, high, low, 1, 1, 0x11, 0]),
        segment(0xc4, &[&[0, 1][..], &[0; 16]].concat()),
        segment(0xc4, &[&[0x10, 1][..], &[0; 15], &[0xe0]].concat()),
        segment(0xda, &[1, 1, 0, 0, 0, 0]),
        vec![0; BLOCKS / 8],
        segment(0xdd, &restart_interval.to_be_bytes()),
    ]
    .concat()
}

/// A scan in which no block has a coefficient, with so many bytes of fill before each marker.
fn empty_scan(coefficient: u8, bits: u8, restart_interval: u16, fill: usize) -> Vec<u8> {
    let header = segment(0xda, &[1, 1, 0, coefficient, coefficient, bits]);
    let fill = vec![0xff; fill];
    if restart_interval == 0 {
        return [&header, &[0; 7][..], &[0x0f], &fill].concat();
    }
    let interval = |number: u8| [&[0x00, 0x01], &fill[..], &[0xff, 0xd0 + number]].concat();
    let last = [&[0x00, 0x01], &fill[..]].concat();
    [header, interval(0), interval(1), interval(2), last].concat()
}

/// A picture whose coefficients come bit by bit, all of them zero.
fn empty_refinements(restart_interval: u16, fill: usize) -> Vec<u8> {
    let bits = std::iter::once(13).chain((0..13).rev().map(|left| (left + 1) << 4 | left));
    let scans: Vec<u8> = bits.flat_map(|bits| empty_scan(1, bits, restart_interval, fill)).collect();
    let others: Vec<u8> =
        (2..64).flat_map(|coefficient| empty_scan(coefficient, 0, restart_interval, 0)).collect();
    [head(restart_interval), scans, others, vec![0xff, 0xd9]].concat()
}

struct Walked {
    whole: Result<Whole, Flaw>,
    steps: u64,
    /// The most that was kept of the file.
    kept: usize,
}

fn walk(bytes: &[u8]) -> Walked {
    let mut jpeg = Jpeg::new(Depth::Decode, 1 << 30, Budget::new(96 << 20));
    let mut kept = 0;
    let (whole, steps) = steps_of(|| {
        for part in bytes.chunks(PART) {
            jpeg.feed(part)?;
            kept = kept.max(jpeg.buffer.capacity());
        }
        jpeg.finish()
    });
    Walked { whole, steps, kept }
}

fn steps_allowed(bytes: &[u8], scans: usize) -> u64 {
    (A_BYTE * bytes.len() + A_BLOCK * scans * BLOCKS) as u64
}

/// Each block of a run takes no bits; what comes after the run was looked at for each of them.
#[test]
fn blocks_without_anything_in_them_take_little_work() {
    for (interval, fill) in [(INTERVAL, 0), (INTERVAL, 9000), (0, 60_000)] {
        let bytes = empty_refinements(interval, fill);
        let walked = walk(&bytes);
        assert_eq!(walked.whole.map(|whole| whole.ends), Ok(true), "{interval}, {fill}");
        let allowed = steps_allowed(&bytes, 77);
        assert!(walked.steps <= allowed, "{interval}, {fill}: {} steps, {allowed} allowed", walked.steps);
    }
}

/// Bytes that come between the parts of a JPEG, and of which nothing is needed.
#[test]
fn what_may_stand_between_markers_is_neither_kept_nor_looked_at_again() {
    let pairs = [0xff, 0].repeat(1 << 20);
    let fill = vec![0xff; 2 << 20];
    let start = [&[0xff, 0xd8, 0xff, 0xe0, 0, 2], &[][..]].concat();
    let picture = empty_refinements(INTERVAL, 0);
    let in_scan = picture.len() - 2;
    let passed = [&head(0), &empty_scan(1, 0, 0, 0)[..]].concat();
    for (what, before, junk, after) in [
        ("pairs before a marker", &start, &pairs, &picture[2..]),
        ("fill before a marker", &start, &fill, &picture[2..]),
        ("pairs, and no marker", &start, &pairs, &[][..]),
        ("fill, and no marker", &start, &fill, &[]),
        ("fill in a scan", &passed, &fill, &[]),
        ("fill before the end", &picture[..in_scan].to_vec(), &fill, &picture[in_scan..]),
    ] {
        let bytes = [&before[..], junk, after].concat();
        let walked = walk(&bytes);
        assert_eq!(walked.whole.is_ok(), !after.is_empty(), "{what}: {:?}", walked.whole);
        assert!(walked.kept <= MOST_KEPT, "{what}: {} bytes are kept", walked.kept);
        let allowed = steps_allowed(&bytes, 77);
        assert!(walked.steps <= allowed, "{what}: {} steps, {allowed} allowed", walked.steps);
    }
}

#[test]
fn tables_that_no_scan_needs_take_little_work() {
    let table = [&[0x10, 1][..], &[0; 15], &[0xe0]].concat();
    let tables = segment(0xc4, &table.repeat(3000)).repeat(20);
    let picture = empty_refinements(INTERVAL, 0);
    let bytes = [&picture[..2], &tables, &picture[2..]].concat();
    let walked = walk(&bytes);
    assert!(walked.whole.is_ok());
    let allowed = steps_allowed(&bytes, 77);
    assert!(walked.steps <= allowed, "{} steps, {allowed} allowed", walked.steps);
}

/// It is neither refused nor taken by half: that would depend on what else is read.
#[test]
fn a_picture_for_which_there_is_no_memory_now_is_judged_later() {
    let bytes = empty_refinements(INTERVAL, 0);
    let budget = Budget::with_patience(8 * BLOCKS as u64, Duration::from_millis(1));
    let judge = || {
        let mut jpeg = Jpeg::new(Depth::Decode, 1 << 30, budget.clone());
        jpeg.feed(&bytes)?;
        jpeg.finish().map(|whole| whole.ends)
    };
    let share = budget.take(1).unwrap();
    assert_eq!(judge(), Err(Flaw::NoMemoryNow));
    drop(share);
    assert_eq!(judge(), Ok(true));
    assert_eq!(budget.free(), 8 * BLOCKS as u64);
}

/// However the file comes: fill may be cut anywhere.
#[test]
fn portions_make_no_difference_to_fill() {
    let picture = empty_refinements(INTERVAL, 7);
    let end = picture.len() - 2;
    for junk in [&[0xff; 40][..], &[[0xff; 40].as_slice(), &[0]].concat(), &[0x55, 0xff, 0xff, 0xff, 0, 0x55]]
    {
        let bytes = [&picture[..end], junk, &picture[end..]].concat();
        let in_portions = |portion: usize| {
            let mut jpeg = Jpeg::new(Depth::Decode, 1 << 30, Budget::new(96 << 20));
            bytes.chunks(portion).try_for_each(|part| jpeg.feed(part))?;
            jpeg.finish()
        };
        for portion in [1, 2, 3, 30] {
            assert_eq!(in_portions(portion), in_portions(usize::MAX), "{portion} bytes at a time, {junk:?}");
        }
    }
}
