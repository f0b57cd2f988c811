#![no_main]

mod common;

libfuzzer_sys::fuzz_target!(|input: &[u8]| common::check(input, pictures::Format::Png));
