//! The three checksums of a file, of one pass over its bytes.

use std::array;

use base64::Engine;
use sha2::{Digest, Sha256};

use super::md5::{BLOCK, LANES, Lanes, Md5};
use crate::domain::text::hex;
use crate::domain::upload::Digests;

/// The three checksums in the making.
pub(super) struct Hashes {
    sha256: Sha256,
    md5: Md5,
    crc64: crc64fast::Digest,
    length: u64,
    /// The last bytes, which are less than a block.
    rest: Vec<u8>,
}

impl Hashes {
    pub(super) fn new() -> Self {
        Self {
            sha256: Sha256::new(),
            md5: Md5::new(),
            crc64: crc64fast::Digest::new(),
            length: 0,
            rest: Vec::new(),
        }
    }

    /// Takes the next part of each of these files. Only a file's last part may end within a block.
    ///
    /// Measured with files of 514 KB: 0.47 ms each when there are four, and 0.92 alone.
    pub(super) fn update_all<'p>(files: impl IntoIterator<Item = (&'p mut Self, &'p [u8])>) {
        let begin = |(hashes, part): (&'p mut Self, _)| {
            let blocks = hashes.whole_blocks(part);
            (hashes, blocks)
        };
        let mut files: Vec<_> = files.into_iter().map(begin).collect();
        loop {
            files.retain(|(_, blocks)| !blocks.is_empty());
            match &mut files[..] {
                [] => return,
                [(hashes, blocks)] => hashes.update(std::mem::take(blocks)),
                several => update_side_by_side(several),
            }
        }
    }

    /// The blocks of a part. What does not need to go block by block is done with all of it.
    fn whole_blocks<'p>(&mut self, part: &'p [u8]) -> &'p [[u8; BLOCK]] {
        let (blocks, rest) = part.as_chunks();
        self.crc64.write(part);
        self.length += part.len() as u64;
        self.rest = rest.to_vec();
        blocks
    }

    /// Block by block in turns: each step of one checksum waits for the step before it, and meanwhile the processor
    /// works on the other.
    fn update(&mut self, blocks: &[[u8; BLOCK]]) {
        for block in blocks {
            self.sha256.update(block);
            self.md5.update(block);
        }
    }

    pub(super) fn finish(self) -> Digests {
        let sha256 = self.sha256.chain_update(&self.rest);
        let md5 = self.md5.finish(&self.rest, self.length);
        Digests {
            sha256: hex(&sha256.finalize()),
            md5: base64::engine::general_purpose::STANDARD.encode(md5),
            crc64: self.crc64.sum64(),
        }
    }
}

/// As many blocks of the first four files as all of them have.
fn update_side_by_side(files: &mut [(&mut Hashes, &[[u8; BLOCK]])]) {
    let count = files.len().min(LANES);
    let files = &mut files[..count];
    let common = files.iter().map(|(_, blocks)| blocks.len()).min().unwrap_or_default();
    // a lane without a file does what the last one does, for nothing
    let lane = |lane: usize| lane.min(count - 1);
    let mut md5s = Lanes::new(array::from_fn(|at| files[lane(at)].0.md5.clone()));
    for block in 0..common {
        md5s.update(array::from_fn(|at| &files[lane(at)].1[block]));
        for (hashes, blocks) in &mut *files {
            hashes.sha256.update(blocks[block]);
        }
    }
    for ((hashes, blocks), md5) in files.iter_mut().zip(md5s.apart()) {
        hashes.md5 = md5;
        *blocks = &blocks[common..];
    }
}
