use super::*;
use crate::config::{Secret, Settings};
use crate::domain::image::Format;
use proptest::prelude::*;

fn oss(extra: &str) -> Oss {
    let text = format!("[gateway]\napp_id = \"a\"\napp_key = \"k\"\n[oss]\n{extra}");
    Settings::parse(std::path::Path::new("/c.toml"), &text, std::iter::empty()).unwrap().oss
}

fn grant(upload_url: &str, endpoint: &str) -> Grant {
    Grant {
        access_key_id: "STS.x".into(),
        access_key_secret: Secret::default(),
        security_token: Secret::default(),
        endpoint: endpoint.into(),
        upload_url: upload_url.to_owned().into(),
        expiration: jiff::Timestamp::MAX,
        url_ends: None,
        request_id: None,
    }
}

fn request() -> GrantRequest {
    GrantRequest { brand: "OWNBRAND/1001".parse().unwrap(), slot: 3, format: Format::Jpeg }
}

const ENDPOINT: &str = "oss-cn-hangzhou.aliyuncs.com";

fn target(extra: &str, url: &str) -> Result<Target, Failure> {
    Target::new(&oss(extra), &grant(url, ENDPOINT), request())
}

#[test]
fn a_bucket_host_gets_its_key_from_the_template() {
    let target = target("", "http://iotx-industry.oss-cn-hangzhou.aliyuncs.com").unwrap();
    assert_eq!(
        target.object_url(),
        "https://iotx-industry.oss-cn-hangzhou.aliyuncs.com/qualification/OWNBRAND/1001/3.jpg"
    );
    assert_eq!(
        (target.bucket.as_str(), target.signing),
        ("iotx-industry", Signing::V4("cn-hangzhou".into()))
    );
}

#[test]
fn a_path_is_the_key() {
    let target = target("", "https://b.oss-cn-hangzhou.aliyuncs.com/a%20b/c+d%25/%E5%9B%BE.jpg").unwrap();
    assert_eq!(target.key, "a b/c+d%/图.jpg");
    assert_eq!(target.object_url(), "https://b.oss-cn-hangzhou.aliyuncs.com/a%20b/c%2Bd%25/%E5%9B%BE.jpg");
}

#[test]
fn a_presigned_url_is_used_as_it_is_and_never_shown() {
    for query in [
        "OSSAccessKeyId=STS.x&Expires=1&Signature=s3cret%2B",
        "x-oss-signature-version=V4&x-oss-signature=s3cret",
    ] {
        let target = target("", &format!("http://b.oss-cn-hangzhou.aliyuncs.com/k.jpg?{query}")).unwrap();
        assert_eq!(target.signing, Signing::InUrl);
        assert_eq!(target.url.query(), Some(query));
        assert!(!format!("{target:?} {}", target.object_url()).contains("s3cret"));
    }
}

#[test]
fn http_is_upgraded_required_or_allowed() {
    let url = "http://b.oss-cn-hangzhou.aliyuncs.com:80/k";
    assert_eq!(target("", url).unwrap().url.scheme(), "https");
    assert_eq!(target("https = \"allow\"", url).unwrap().url.scheme(), "http");
    assert_eq!(target("https = \"require\"", url).unwrap_err().kind, ErrorKind::BadUploadUrl);
    let port = target("", "http://b.oss-cn-hangzhou.aliyuncs.com:8080/k").unwrap();
    assert_eq!(port.url.port(), Some(8080));
}

#[test]
fn hosts_that_are_not_allowed_are_refused() {
    let hosts = [
        "evil.example",
        "b.oss-cn-hangzhou.aliyuncs.com.evil.example",
        "aliyuncs.com",
        "evilaliyuncs.com",
        "127.0.0.1",
        "[::1]",
        "0x7f.1",
        "localhost",
        "b.oss-cn-hangzhou.aliyuncs.com%2eevil.example",
    ];
    for host in hosts {
        let failure = target("", &format!("http://{host}/k")).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::ForbiddenHost, "{host}");
    }
    let failure = target("", "http://x.aliyuncs.com@evil.example/k").unwrap_err();
    assert_eq!(failure.kind, ErrorKind::BadUploadUrl);
    for url in ["", "nonsense", "ftp://b.aliyuncs.com/k", "file:///etc/passwd"] {
        assert!(target("", url).is_err(), "{url}");
    }
    target("allowed_hosts = [\"127.0.0.1\"]\nregion = \"r\"", "http://127.0.0.1/k?x-oss-signature=1")
        .unwrap();
}

#[test]
fn a_pinned_bucket_is_the_only_one() {
    let pinned = "bucket = \"acme\"\nallowed_hosts = [\"*.aliyuncs.com\", \"img.acme.com\"]";
    for host in [
        "acme.oss-cn-hangzhou.aliyuncs.com",
        "acme.oss-cn-beijing-internal.aliyuncs.com",
        "acme.cn-hangzhou.oss.aliyuncs.com",
        "acme.oss-accelerate.aliyuncs.com",
        "acme.oss-accelerate-overseas.aliyuncs.com",
        "img.acme.com",
    ] {
        for query in ["", "?x-oss-signature-version=V4&x-oss-signature=s"] {
            let target = target(pinned, &format!("https://{host}/k.jpg{query}")).unwrap();
            assert_eq!(target.bucket, "acme", "{host}");
        }
    }
    for host in [
        "evil.oss-cn-hangzhou.aliyuncs.com",
        "acme2.oss-cn-hangzhou.aliyuncs.com",
        "evil.cn-hangzhou.oss.aliyuncs.com",
        "evil.acme.oss-cn-hangzhou.aliyuncs.com",
        "oss-cn-hangzhou.aliyuncs.com",
        // what others have, and other services are, under the bucket's name
        "acme.cn-hangzhou.log.aliyuncs.com",
        "acme.evil.oss-cn-hangzhou.aliyuncs.com",
        "acme.evil.cn-hangzhou.oss.aliyuncs.com",
        "acme.oss.aliyuncs.com",
        "acme.oss-.aliyuncs.com",
        "acme.aliyuncs.com",
        "acme.oss-cn-hangzhou.aliyuncs.com.",
    ] {
        for query in ["", "?x-oss-signature-version=V4&x-oss-signature=s"] {
            let failure = target(pinned, &format!("https://{host}/k.jpg{query}")).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::ForbiddenHost, "{host}");
            assert!(failure.message.ends_with("which is not the bucket acme of oss.bucket"), "{failure}");
        }
    }
}

#[test]
fn regions_of_all_public_endpoints() {
    let table = [
        ("oss-cn-hangzhou.aliyuncs.com", Some("cn-hangzhou")),
        ("oss-cn-hangzhou-internal.aliyuncs.com", Some("cn-hangzhou")),
        ("oss-ap-southeast-1.aliyuncs.com", Some("ap-southeast-1")),
        ("cn-hangzhou.oss.aliyuncs.com", Some("cn-hangzhou")),
        ("bkt.cn-hangzhou.oss.aliyuncs.com", Some("cn-hangzhou")),
        ("bkt.oss-us-west-1.aliyuncs.com", Some("us-west-1")),
        ("oss-accelerate.aliyuncs.com", None),
        ("oss-accelerate-overseas.aliyuncs.com", None),
        ("img.acme.com", None),
    ];
    for (host, expected) in table {
        assert_eq!(region(host).as_deref(), expected, "{host}");
    }
}

#[test]
fn without_a_region_v1_is_used_or_v4_refused() {
    let accelerated = |extra: &str| {
        let grant = grant("https://b.oss-accelerate.aliyuncs.com", "oss-accelerate.aliyuncs.com");
        Target::new(&oss(extra), &grant, request())
    };
    assert_eq!(accelerated("").unwrap().signing, Signing::V1);
    assert_eq!(accelerated("region = \"cn-beijing\"").unwrap().signing, Signing::V4("cn-beijing".into()));
    assert_eq!(accelerated("signature = \"v4\"").unwrap_err().kind, ErrorKind::BadUploadUrl);
}

proptest! {
    #[test]
    fn only_allowed_hosts_come_through(url in "https?://[a-z0-9.@:%/\\[\\]-]{0,40}(aliyuncs\\.com)?[a-z0-9.@:/-]{0,12}") {
        if let Ok(target) = target("", &url) {
            prop_assert!(target.host().ends_with(".aliyuncs.com"), "{}", target.host());
        }
    }

    #[test]
    fn no_text_panics(url in "\\PC*", endpoint in "\\PC*") {
        let _ = Target::new(&oss(""), &grant(&url, &endpoint), request());
    }
}
