#![no_main]

use std::path::Path;

use brandpost::config::Settings;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(problems) = Settings::parse(Path::new("/nonexistent/config.toml"), text, std::iter::empty()) {
        assert!(!problems.to_string().is_empty());
    }
});
