//! What holds of every place to which a picture is sent.

#![allow(dead_code, reason = "not every target needs all of it")]

use std::path::Path;
use std::sync::LazyLock;

use brandpost::cloud::{Grant, GrantRequest, Target};
use brandpost::config::{Oss, Settings};
use brandpost::domain::failure::Failure;
use brandpost::domain::image::Format;

static OSS: LazyLock<Oss> = LazyLock::new(|| {
    let text = "[gateway]\napp_id = \"a\"\napp_key = \"k\"\n";
    Settings::parse(Path::new("/c.toml"), text, std::iter::empty()).unwrap().oss
});

pub fn target(grant: &Grant) -> Result<Target, Failure> {
    let request = GrantRequest { brand: "OWNBRAND/1001".parse().unwrap(), slot: 3, format: Format::Jpeg };
    Target::new(&OSS, grant, request)
}

pub fn check(grant: &Grant) {
    match target(grant) {
        Ok(target) => {
            let url = target.object_url();
            assert!(OSS.allowed_hosts.iter().any(|pattern| pattern.matches(target.host())), "{url}");
            let (authority, key) = url.strip_prefix("https://").and_then(|url| url.split_once('/')).unwrap();
            assert!(
                authority == target.host() || authority.starts_with(&format!("{}:", target.host())),
                "{url}"
            );
            assert!(
                !key.contains(['?', '#', '\n']) && !target.key.is_empty() && !key.ends_with('/'),
                "{url}"
            );
        }
        Err(failure) => super::messages::check(&failure),
    }
}
