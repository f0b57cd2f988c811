use serde_json::Value;

use super::*;
use crate::domain::clock::ManualClock;

fn cases(text: &str) -> Vec<Value> {
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(!cases.is_empty());
    cases
}

fn text<'v>(case: &'v Value, key: &str) -> &'v str {
    case[key].as_str().unwrap_or_else(|| panic!("{key} in {}", case["name"]))
}

fn pairs(map: &Value) -> Vec<(String, String)> {
    let pairs = map.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn gateway_signatures_are_those_of_the_sdk() {
    for case in cases(include_str!("../../../tests/fixtures/vectors/gateway_signature.json")) {
        let name = &case["name"];
        let unsigned: Vec<_> =
            case["extra_headers"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        // a header added under another case is sent but not signed by the SDK
        let headers: Vec<_> = pairs(&case["headers"])
            .into_iter()
            .filter(|(key, _)| !unsigned.iter().any(|other| other.to_lowercase() == *key && other != key))
            .collect();
        let string = gateway_string_to_sign(text(&case, "method"), text(&case, "path"), &headers);
        assert_eq!(string, text(&case, "string_to_sign"), "{name}");
        let secret = Secret::from(text(&case, "app_secret").to_owned());
        assert_eq!(gateway_signature(&secret, &string), text(&case, "signature"), "{name}");
        if let Some(md5) = case["headers"]["content-md5"].as_str() {
            assert_eq!(md5_base64(text(&case, "body").as_bytes()), md5, "{name}");
        }
        let time = Timestamp::from_millisecond(case["timestamp_ms"].as_i64().unwrap()).unwrap();
        assert_eq!(http_date(time), case["headers"]["date"].as_str().unwrap(), "{name}");
    }
}

/// The PUTs signed in the header, with what goes into the signature.
fn oss_puts(version: &str) -> Vec<Value> {
    let ours =
        |case: &Value| case["kind"] == "header" && case["version"] == version && case["method"] == "PUT";
    let cases = cases(include_str!("../../../tests/fixtures/vectors/oss_signature.json"));
    let cases: Vec<_> = cases.into_iter().filter(ours).collect();
    assert!(cases.len() > 5, "{}", cases.len());
    cases
}

fn signed_headers(case: &Value) -> Vec<(String, String)> {
    pairs(&case["headers"])
        .into_iter()
        .filter(|(name, _)| !["authorization", "date"].contains(&name.as_str()))
        .collect()
}

fn request(case: &Value) -> OssRequest<'_> {
    let headers = signed_headers(case);
    OssRequest { method: "PUT", bucket: text(case, "bucket"), key: text(case, "key"), headers }
}

#[test]
fn oss_v4_signatures_are_those_of_the_sdk() {
    // we sign no additional headers
    for case in oss_puts("V4").into_iter().filter(|case| case["additional_headers"] == serde_json::json!([]))
    {
        let secret = Secret::from(text(&case, "access_key_secret").to_owned());
        let key = SigningKey { id: text(&case, "access_key_id"), secret: &secret };
        let time = Timestamp::from_second(case["timestamp"].as_i64().unwrap()).unwrap();
        let authorization = oss_v4(&request(&case), key, text(&case, "region"), time);
        assert_eq!(authorization, text(&case, "authorization"), "{}", case["name"]);
    }
}

#[test]
fn oss_v1_signatures_are_those_of_the_sdk() {
    for case in oss_puts("V1") {
        let secret = Secret::from(text(&case, "access_key_secret").to_owned());
        let key = SigningKey { id: text(&case, "access_key_id"), secret: &secret };
        let authorization = oss_v1(&request(&case), key, case["headers"]["date"].as_str().unwrap());
        assert_eq!(authorization, text(&case, "authorization"), "{}", case["name"]);
    }
}

#[tokio::test]
async fn another_implementation_of_v4_signs_the_same() {
    use reqsign_aliyun_oss::{Credential, RequestSigner, SigningVersion};
    use reqsign_core::{Context, SignRequest};
    for key in ["qualification/OWNBRAND/1001/1.jpg", "a b+c%25/图 片.png", "~x_y-z.(1)*'!@&=:;,$?#.gif"] {
        let uri = format!("https://bkt.oss-cn-hangzhou.aliyuncs.com/{}", encode_path(key));
        let request = http::Request::put(uri)
            .header("content-type", "image/jpeg")
            .header("content-md5", "0G+VU/va7uKbu5N2T/qc2g==");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let signer =
            RequestSigner::new("bkt").with_region("cn-hangzhou").with_signing_version(SigningVersion::V4);
        let credential = Credential {
            access_key_id: "STS.x".into(),
            access_key_secret: "secret".into(),
            security_token: Some("token".into()),
            expires_in: None,
        };
        signer.sign_request(&Context::new(), &mut parts, Some(&credential), None).await.unwrap();
        let header = |name: &str| parts.headers[name].to_str().unwrap().to_owned();
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", header("x-oss-date")).unwrap();
        let time = time.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        let names =
            ["content-type", "content-md5", "x-oss-date", "x-oss-content-sha256", "x-oss-security-token"];
        let headers = names.map(|name| (name.to_owned(), header(name))).to_vec();
        let secret = Secret::from("secret".to_owned());
        let request = OssRequest { method: "PUT", bucket: "bkt", key, headers };
        let ours = oss_v4(&request, SigningKey { id: "STS.x", secret: &secret }, "cn-hangzhou", time);
        let signature = |text: &str| text.split_once("Signature=").unwrap().1.to_owned();
        assert_eq!(signature(&ours), signature(&header("authorization")), "{key}");
    }
}

#[test]
fn the_clock_is_put_right_but_never_to_1970() {
    let now = Timestamp::from_second(1_764_000_000).unwrap();
    let clock = SigningClock::new(Arc::new(ManualClock::new(now)));
    for nonsense in [None, Some("yesterday"), Some("Thu, 01 Jan 1970 00:00:10 GMT")] {
        assert!(!clock.learn(nonsense));
    }
    assert_eq!(clock.now(), now);
    assert!(clock.learn(Some(&http_date(now + jiff::SignedDuration::from_mins(16)))));
    assert_eq!(clock.offset(), 960);
    assert_eq!((clock.now() - now).get_seconds(), 960);
}
