//! From `uploadUrl` to what is sent where. Nothing is sent to a host that is not allowed.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::credentials::Grant;
use super::gateway::GrantRequest;
use super::presigned::carries_signature;
use super::signature::encode_path;
use crate::config::{Https, Oss, SignatureChoice};
use crate::domain::failure::{ErrorKind, Failure};

/// How a PUT proves its right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// V4, for this region.
    V4(String),
    /// V1.
    V1,
    /// The URL carries a signature.
    InUrl,
}

/// Where an object goes, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// What is called; may carry a signature.
    pub(super) url: Url,
    /// The bucket.
    pub bucket: String,
    /// The key, not encoded.
    pub key: String,
    /// The signature.
    pub signing: Signing,
    /// The signature of other requests for this object, when the URL carries the signature of the PUT.
    pub(super) header_signing: Option<Signing>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}, {:?})", self.object_url(), self.signing)
    }
}

impl Target {
    /// What the URL holds that nobody must read: as it is written there, and as it is meant.
    pub(super) fn secrets(&self) -> Vec<String> {
        let is_secret = |name: &str| name.ends_with("ignature") || name.ends_with("security-token");
        let written = self.url.query().unwrap_or_default().split('&');
        let written = written.filter_map(|pair| pair.split_once('=')).filter(|(name, _)| is_secret(name));
        let meant = self.url.query_pairs().filter(|(name, _)| is_secret(name));
        written.map(|(_, value)| value.to_owned()).chain(meant.map(|(_, value)| value.into_owned())).collect()
    }

    /// The object's URL without any query: what people may see and the database keeps.
    pub fn object_url(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.into()
    }

    /// The host that is called.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Which signature, for messages.
    pub fn signature(&self) -> String {
        match &self.signing {
            Signing::V4(region) => format!("signature V4, region {region}"),
            Signing::V1 => "signature V1".into(),
            Signing::InUrl => "the signature in the gateway's uploadUrl".into(),
        }
    }

    /// Makes sense of a grant.
    ///
    /// # Errors
    /// `forbidden_host` or `bad_upload_url`, without anything of the URL that could be secret.
    pub fn new(oss: &Oss, grant: &Grant, request: GrantRequest) -> Result<Self, Failure> {
        let mut url = parse(grant.upload_url.expose())?;
        check_host(oss, &url)?;
        let signed = carries_signature(&url);
        secure(oss, &mut url)?;
        let key = key(oss, &url, request)?;
        let (bucket, region) = bucket_and_region(oss, grant, url.host_str().unwrap_or_default());
        let bucket = pinned(oss, url.host_str().unwrap_or_default(), bucket)?;
        let (signing, header_signing) = match (signed, choose(oss, region)) {
            (true, header) => (Signing::InUrl, header.ok().filter(|_| bucket.is_some())),
            (false, signing) => (signing?, None),
        };
        if signing != Signing::InUrl {
            url.set_query(None);
            url.set_path(&encode_path(&key));
        }
        let bucket = match (bucket, &signing) {
            (Some(bucket), _) => bucket,
            (None, Signing::InUrl) => String::new(),
            (None, _) => {
                return Err(bad("its host does not belong to the endpoint, so the bucket is unknown"));
            }
        };
        Ok(Self { url, bucket, key, signing, header_signing })
    }

    /// The same object for another request than the PUT. Nothing, when it cannot be signed.
    pub(super) fn with_header_signing(&self) -> Option<Self> {
        let signing = match self.signing {
            Signing::InUrl => self.header_signing.clone()?,
            _ => self.signing.clone(),
        };
        let mut url = self.url.clone();
        url.set_query(None);
        Some(Self { url, signing, ..self.clone() })
    }
}

fn bad(what: &str) -> Failure {
    Failure::new(ErrorKind::BadUploadUrl, format!("the gateway's uploadUrl is unusable: {what}"))
}

fn parse(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(bad("it is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it has a user name in it"));
    }
    Ok(url)
}

/// An IP address must be listed as it stands: a pattern never means one.
fn check_host(oss: &Oss, url: &Url) -> Result<(), Failure> {
    let host = url.host_str().unwrap_or_default();
    let allowed = oss.allowed_hosts.iter().any(|pattern| pattern.matches(host));
    match url.host() {
        Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) if allowed => Ok(()),
        _ => {
            let message =
                format!("the gateway wants the file sent to {host}, which oss.allowed_hosts does not allow");
            Err(Failure::new(ErrorKind::ForbiddenHost, message))
        }
    }
}

/// `oss.bucket` is the only one that counts, and names the bucket behind a domain of one's own. Of Alibaba Cloud's hosts only
/// that bucket's on OSS itself: other services, and other customers, have names there that begin in the same way.
fn pinned(oss: &Oss, host: &str, bucket: Option<String>) -> Result<Option<String>, Failure> {
    let Some(pinned) = &oss.bucket else { return Ok(bucket) };
    let endpoint = host.strip_prefix(pinned.as_str()).and_then(|rest| rest.strip_prefix('.'));
    let fits = match (is_alibabas(host), &bucket) {
        (true, _) => endpoint.is_some_and(is_oss),
        (false, Some(bucket)) => bucket == pinned,
        (false, None) => true,
    };
    if fits {
        return Ok(Some(pinned.clone()));
    }
    let message =
        format!("the gateway wants the file sent to {host}, which is not the bucket {pinned} of oss.bucket");
    Err(Failure::new(ErrorKind::ForbiddenHost, message))
}

fn is_alibabas(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "aliyuncs.com" || host.ends_with(".aliyuncs.com")
}

/// Is it an endpoint of OSS: `oss-cn-hangzhou[-internal].aliyuncs.com`, `oss-accelerate[-overseas].aliyuncs.com`,
/// `cn-hangzhou.oss.aliyuncs.com`?
fn is_oss(endpoint: &str) -> bool {
    let Some(name) = endpoint.strip_suffix(".aliyuncs.com") else { return false };
    let region = name.strip_prefix("oss-").or_else(|| name.strip_suffix(".oss"));
    region.is_some_and(|region| !region.is_empty() && !region.contains('.'))
}

fn secure(oss: &Oss, url: &mut Url) -> Result<(), Failure> {
    match (url.scheme(), oss.https) {
        ("https", _) | (_, Https::Allow) => Ok(()),
        (_, Https::Require) => Err(bad("it is http, and oss.https = \"require\"")),
        (_, Https::Upgrade) => {
            if url.port() == Some(80) {
                let _ = url.set_port(None);
            }
            url.set_scheme("https").map_err(|()| bad("it cannot be changed to https"))
        }
    }
}

fn key(oss: &Oss, url: &Url, request: GrantRequest) -> Result<String, Failure> {
    let path = percent_decode_str(url.path().trim_start_matches('/'));
    match path.decode_utf8() {
        Ok(key) if key.ends_with('/') => {
            Err(bad("its path ends in \"/\", so it names a folder and no object"))
        }
        Ok(key) if !key.is_empty() => Ok(key.into_owned()),
        Ok(_) => Ok(oss
            .key_template
            .replace("{type}", request.brand.kind().as_str())
            .replace("{id}", &request.brand.record().to_string())
            .replace("{index}", &request.slot.to_string())
            .replace("{suffix}", request.format.suffix())),
        Err(_) => Err(bad("its path is no UTF-8")),
    }
}

fn choose(oss: &Oss, region: Option<String>) -> Result<Signing, Failure> {
    match (oss.signature, region) {
        (SignatureChoice::V1, _) | (SignatureChoice::Auto, None) => Ok(Signing::V1),
        (_, Some(region)) => Ok(Signing::V4(region)),
        (SignatureChoice::V4, None) => {
            Err(bad("its region does not follow from the endpoint; set oss.region"))
        }
    }
}

/// The bucket is the host's part before the endpoint; the region is in the endpoint's name, or configured.
fn bucket_and_region(oss: &Oss, grant: &Grant, host: &str) -> (Option<String>, Option<String>) {
    let endpoint = grant.endpoint.trim_start_matches("https://").trim_start_matches("http://");
    let endpoint = endpoint.split(['/', ':']).next().unwrap_or_default().to_ascii_lowercase();
    let within = host.strip_suffix(&endpoint).and_then(|bucket| bucket.strip_suffix('.'));
    // the URL may name the internal endpoint where `endpoint` names the public one
    let public = || {
        host.strip_suffix(".aliyuncs.com").and_then(|rest| rest.split_once(".oss-")).map(|(bucket, _)| bucket)
    };
    let bucket = within.or_else(public).filter(|bucket| !bucket.is_empty()).map(str::to_owned);
    let region = oss.region.clone().or_else(|| region(host)).or_else(|| region(&endpoint));
    (bucket, region)
}

/// `oss-cn-hangzhou[-internal].aliyuncs.com`, or `cn-hangzhou.oss.aliyuncs.com` (dual stack), with or without
/// a bucket before it. The accelerated endpoints have no region.
fn region(host: &str) -> Option<String> {
    let rest = host.strip_suffix(".aliyuncs.com")?;
    let labels: Vec<_> = rest.split('.').collect();
    let named = match labels.as_slice() {
        [.., region, "oss"] => region,
        [.., label] => label.strip_prefix("oss-")?,
        [] => return None,
    };
    let region = named.strip_suffix("-internal").unwrap_or(named);
    (!region.is_empty() && !region.starts_with("accelerate")).then(|| region.to_owned())
}

#[cfg(test)]
mod tests;
