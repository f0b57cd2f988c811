//! Checks files: one line each, with what is wrong with it. `cargo run -p pictures --example check -- FILE…`

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "an example")]

use std::io::Read;

use pictures::{Budget, Depth, Flaw, HEAD, Walk, Whole, sniff};

const MAX_PIXELS: u64 = 100_000_000;

fn check(bytes: &[u8]) -> Result<Whole, Flaw> {
    let format = sniff(&bytes[..bytes.len().min(HEAD)])?;
    let mut walk = Walk::new(format, Depth::Decode, MAX_PIXELS, &Budget::new(96 << 20));
    for part in bytes.chunks(128 << 10) {
        walk.feed(part)?;
    }
    walk.finish()
}

fn main() -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        let mut bytes = Vec::new();
        std::fs::File::open(&path)?.read_to_end(&mut bytes)?;
        match check(&bytes) {
            Ok(whole) => println!("ok\t{}\t{}\t{}", path.display(), whole.dimensions, whole.ends),
            Err(flaw) => println!("bad\t{}\t{flaw}", path.display()),
        }
    }
    Ok(())
}
