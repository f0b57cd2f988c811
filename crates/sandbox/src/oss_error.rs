//! OSS's errors, and their XML.

use super::verify::{Expected, PresentedSignature};

#[derive(Debug, Clone)]
pub(super) struct OssError {
    pub(super) status: u16,
    pub(super) code: String,
    message: String,
    /// More elements: what the server signed, the times it compared.
    details: Vec<(&'static str, String)>,
}

impl OssError {
    pub(super) fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned(), details: Vec::new() }
    }

    pub(super) fn with(mut self, element: &'static str, text: impl Into<String>) -> Self {
        self.details.push((element, text.into()));
        self
    }

    pub(super) fn denied(message: &str) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    pub(super) fn argument(message: &str) -> Self {
        Self::new(400, "InvalidArgument", message)
    }

    pub(super) fn digest() -> Self {
        Self::new(400, "InvalidDigest", "The Content-MD5 you specified is not valid.")
    }

    pub(super) fn exists() -> Self {
        let message = "The object you specified already exists and can not be overwritten.";
        Self::new(409, "FileAlreadyExists", message)
    }

    pub(super) fn too_large() -> Self {
        Self::new(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
    }

    pub(super) fn internal() -> Self {
        Self::new(500, "InternalError", "The sandbox could not write the object to its folder.")
    }

    /// Shows what the server signed, as OSS does: it is all one has to find a signing bug with.
    pub(super) fn signature(presented: &PresentedSignature, expected: Expected) -> Self {
        let message = "The request signature we calculated does not match the signature you provided. \
                       Check your key and signing method.";
        let error = Self::new(403, "SignatureDoesNotMatch", message)
            .with("OSSAccessKeyId", &presented.access_key_id)
            .with("SignatureProvided", &presented.signature)
            .with("StringToSign", expected.string_to_sign);
        match expected.canonical_request {
            Some(canonical) => error.with("CanonicalRequest", canonical),
            None => error,
        }
    }

    pub(super) fn xml(&self, request_id: &str, host: &str) -> String {
        let named = [
            ("Code", self.code.as_str()),
            ("Message", &self.message),
            ("RequestId", request_id),
            ("HostId", host),
        ];
        let more = self.details.iter().map(|(name, text)| (*name, text.as_str()));
        let element = |(name, text): (&str, &str)| format!("  <{name}>{}</{name}>\n", escaped(text));
        let inner: String = named.into_iter().chain(more).map(element).collect();
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n{inner}</Error>\n")
    }
}

/// XML 1.0 has no way to write most control characters: they become `?`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}
