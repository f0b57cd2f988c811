#![no_main]

libfuzzer_sys::fuzz_target!(|head: &[u8]| {
    if let Err(flaw) = pictures::sniff(&head[..head.len().min(pictures::HEAD)]) {
        let text = flaw.to_string();
        assert!(!text.contains(['\n', '"', '{']), "{text}");
    }
});
