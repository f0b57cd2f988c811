//! Every published case must verify, and must stop verifying when one byte of it changes.

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde_json::Value;

use super::*;

fn cases(text: &str) -> Vec<Value> {
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(!cases.is_empty(), "an empty vector list proves nothing");
    cases
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{} has no {name}", case["name"]))
}

fn headers(case: &Value) -> HeaderMap {
    let pairs = case["headers"].as_object().unwrap().iter();
    let pairs = pairs.map(|(name, value)| {
        let value = HeaderValue::from_bytes(value.as_str().unwrap().as_bytes()).unwrap();
        (HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap(), value)
    });
    pairs.collect()
}

/// Changes the first character to another of the same alphabet.
fn flipped(text: &str) -> String {
    let first = if text.starts_with('a') { "b" } else { "a" };
    text.chars().next().map_or_else(|| first.to_owned(), |old| first.to_owned() + &text[old.len_utf8()..])
}

struct Oss {
    case: Value,
    headers: HeaderMap,
    query: Query,
    key: String,
}

impl Oss {
    /// The key is read from the URL, as the server would; the case's own `key` only confirms it.
    fn new(case: Value) -> Self {
        let uri: Uri = text(&case, "url").parse().unwrap();
        let mut path = uri.path().trim_start_matches('/');
        if uri.host() == Some("127.0.0.1") {
            path = path.strip_prefix(text(&case, "bucket")).unwrap().trim_start_matches('/');
        }
        let key = wire::decode(path).unwrap();
        assert_eq!(key, text(&case, "key"), "{}", case["name"]);
        let mut headers = headers(&case);
        headers.insert("host", HeaderValue::from_str(uri.authority().unwrap().as_str()).unwrap());
        Self { headers, query: wire::parse_query(uri.query().unwrap_or_default()), key, case }
    }

    fn request(&self) -> OssRequest<'_> {
        OssRequest {
            method: text(&self.case, "method"),
            bucket: text(&self.case, "bucket"),
            key: &self.key,
            query: &self.query,
            headers: &self.headers,
        }
    }

    fn verifies_with(&self, secret: &str) -> bool {
        let Ok(presented) = PresentedSignature::read(self.request()) else {
            return false;
        };
        presented.expected(self.request(), secret).signature == presented.signature
    }

    fn verifies(&self) -> bool {
        self.verifies_with(text(&self.case, "access_key_secret"))
    }

    fn flip_header(&mut self, name: &str) {
        let value = flipped(wire::header(&self.headers, name).unwrap());
        self.headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
}

fn oss_cases() -> Vec<Oss> {
    cases(include_str!("../../../../tests/fixtures/vectors/oss_signature.json"))
        .into_iter()
        .map(Oss::new)
        .collect()
}

fn gateway_cases() -> Vec<Value> {
    cases(include_str!("../../../../tests/fixtures/vectors/gateway_signature.json"))
}

#[test]
fn every_kind_of_oss_case_is_there() {
    let all = oss_cases();
    let kinds: Vec<_> = all.iter().map(|oss| PresentedSignature::read(oss.request()).unwrap().kind).collect();
    for kind in [SignatureKind::V1, SignatureKind::V4, SignatureKind::PresignedV1, SignatureKind::PresignedV4]
    {
        assert!(kinds.contains(&kind), "no case of {kind:?}");
    }
}

#[test]
fn oss_cases_verify_and_show_the_same_texts() {
    for oss in oss_cases() {
        let name = &oss.case["name"];
        let presented = PresentedSignature::read(oss.request()).unwrap();
        let expected = presented.expected(oss.request(), text(&oss.case, "access_key_secret"));
        assert_eq!(expected.string_to_sign, text(&oss.case, "string_to_sign"), "{name}");
        assert_eq!(expected.canonical_request.as_deref(), oss.case["canonical_request"].as_str(), "{name}");
        assert_eq!(expected.signature, presented.signature, "{name}");
        assert_eq!(presented.access_key_id, text(&oss.case, "access_key_id"), "{name}");
        assert_eq!(presented.token.as_deref(), oss.case["security_token"].as_str(), "{name}");
        let start = oss.case["timestamp"].as_i64().unwrap();
        match oss.case["expires"].as_i64() {
            Some(life) => assert_eq!(presented.expires_at.unwrap().as_second(), start + life, "{name}"),
            None => assert_eq!(presented.signed_at().unwrap().as_second(), start, "{name}"),
        }
    }
}

#[test]
fn an_oss_case_with_one_byte_changed_is_refused() {
    for oss in oss_cases() {
        let name = oss.case["name"].clone();
        assert!(oss.verifies(), "{name}");
        assert!(!oss.verifies_with(&flipped(text(&oss.case, "access_key_secret"))), "{name}: secret");
        let mut other = Oss::new(oss.case.clone());
        other.key = flipped(&other.key);
        assert!(!other.verifies(), "{name}: key");
        for header in ["content-type", "content-md5", "x-oss-security-token", "x-oss-forbid-overwrite"] {
            let mut other = Oss::new(oss.case.clone());
            if other.headers.contains_key(header) {
                other.flip_header(header);
                assert!(!other.verifies(), "{name}: {header}");
            }
        }
        let mut other = Oss::new(oss.case.clone());
        flip_signature(&mut other);
        assert!(!other.verifies(), "{name}: signature");
    }
}

fn flip_signature(oss: &mut Oss) {
    let presented = PresentedSignature::read(oss.request()).unwrap();
    let (old, new) = (&presented.signature, flipped(&presented.signature));
    for (_, value) in
        oss.query.iter_mut().filter(|(name, _)| name.eq("Signature") || name == "x-oss-signature")
    {
        *value = Some(new.clone());
    }
    if let Some(text) = wire::header(&oss.headers, "authorization").map(|text| text.replace(old, &new)) {
        oss.headers.insert("authorization", text.parse().unwrap());
    }
}

#[test]
fn a_signed_host_counts_and_an_unsigned_one_does_not() {
    for mut oss in oss_cases() {
        let signed = oss.case["additional_headers"].as_array().unwrap().iter().any(|name| name == "host");
        oss.headers.insert("host", HeaderValue::from_static("elsewhere.example"));
        assert_eq!(oss.verifies(), !signed, "{}", oss.case["name"]);
    }
}

fn gateway_verifies(case: &Value, headers: &HeaderMap, secret: &str) -> bool {
    let uri: Uri = text(case, "path").parse().unwrap();
    let ours = gateway_string_to_sign(text(case, "method"), &uri, headers);
    gateway_signature(secret, &ours) == wire::header_or_empty(headers, "x-ca-signature")
}

#[test]
fn gateway_cases_verify_and_show_the_same_text() {
    for case in gateway_cases() {
        let headers = headers(&case);
        let uri: Uri = text(&case, "path").parse().unwrap();
        let ours = gateway_string_to_sign(text(&case, "method"), &uri, &headers);
        assert_eq!(ours, text(&case, "string_to_sign"), "{}", case["name"]);
        assert!(gateway_verifies(&case, &headers, text(&case, "app_secret")), "{}", case["name"]);
        assert_eq!(gateway_signature(text(&case, "app_secret"), &ours), text(&case, "signature"));
    }
}

#[test]
fn a_gateway_case_with_one_byte_changed_is_refused() {
    for case in gateway_cases() {
        let secret = text(&case, "app_secret");
        assert!(!gateway_verifies(&case, &headers(&case), &flipped(secret)), "{}: secret", case["name"]);
        for name in
            ["x-ca-signature", "x-ca-key", "x-ca-nonce", "x-ca-timestamp", "content-md5", "accept", "date"]
        {
            let mut headers = headers(&case);
            let Some(value) = wire::header(&headers, name).map(flipped) else {
                continue;
            };
            headers.insert(name, value.parse().unwrap());
            assert!(!gateway_verifies(&case, &headers, secret), "{}: {name}", case["name"]);
        }
    }
}

#[test]
fn a_query_of_the_gateway_is_sorted() {
    let uri: Uri = "/p?b=2&a=1&flag".parse().unwrap();
    let text = gateway_string_to_sign("GET", &uri, &HeaderMap::new());
    assert_eq!(text, "GET\n\n\n\n\n/p?a=1&b=2&flag");
}

#[test]
fn what_is_presigned_here_verifies_here() {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("image/png"));
    let blank = Query::new();
    let request =
        OssRequest { method: "PUT", bucket: "b", key: "a/张.png", query: &blank, headers: &headers };
    let now = Timestamp::from_second(1_731_585_600).unwrap();
    for query in [
        presign_v1(request, "id", "secret", "to/ken=", now),
        presign_v4(request, "id", "secret", "to/ken=", "cn-hangzhou", now, 900),
    ] {
        let signed = OssRequest { query: &query, ..request };
        let presented = PresentedSignature::read(signed).unwrap();
        assert_eq!(presented.expected(signed, "secret").signature, presented.signature);
        assert_ne!(presented.expected(signed, "other").signature, presented.signature);
        assert_eq!(presented.token.as_deref(), Some("to/ken="));
    }
}

#[test]
fn a_request_without_a_readable_signature_is_refused() {
    let (mut headers, query) = (HeaderMap::new(), Query::new());
    let read = |headers: &HeaderMap| {
        PresentedSignature::read(OssRequest { method: "PUT", bucket: "b", key: "k", query: &query, headers })
    };
    assert_eq!(read(&headers), Err(SignatureError::Anonymous));
    for bad in [
        "Basic abc",
        "OSS nocolon",
        "OSS4-HMAC-SHA256 Signature=1",
        "OSS4-HMAC-SHA256 Credential=a/b, Signature=1",
    ] {
        headers.insert("authorization", HeaderValue::from_static(bad));
        assert!(matches!(read(&headers), Err(SignatureError::Malformed(_))), "{bad}");
    }
}
