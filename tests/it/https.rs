//! HTTPS from end to end, with a certificate authority of our own.

use brandpost::domain::failure::ErrorKind;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use brandpost::domain::upload::State;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN};

const GATEWAY: &str = "api.link.aliyun.com";
const BUCKET: &str = "iotx-industry.oss-cn-hangzhou.aliyuncs.com";

struct Authority(CertifiedIssuer<'static, KeyPair>);

fn named(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts = hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    fn new() -> Self {
        let mut params = named("a test authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these hosts, and its key (PKCS 8).
    fn issue(&self, hosts: &[&str]) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = named("a test server", hosts).signed_by(&key, &self.0).unwrap();
        (certificate.into(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// Takes HTTPS for these hosts and passes the plain bytes on.
    async fn terminate(&self, hosts: &[&str], to: SocketAddr) -> SocketAddr {
        let (certificate, key) = self.issue(hosts);
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outside = acceptor.accept(socket).await?;
                    let mut inside = TcpStream::connect(to).await?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
        address
    }
}

/// A daemon that knows only HTTPS.
async fn bench(authority: &Authority, hosts: &[&str], ca_file: bool) -> Bench {
    let bench = Bench::new().await;
    let port = authority.terminate(hosts, bench.sandbox.addr()).await.port();
    fs::write(bench.folder.path().join("ca.pem"), authority.pem()).unwrap();
    let ca_file = if ca_file { "ca_file = \"ca.pem\"\n" } else { "" };
    let text = format!(
        "[gateway]\nurl = \"https://{GATEWAY}\"\napp_id = \"a1B2c3D4\"\napp_key = \"30001234\"\n\
         app_secret_file = \"secret\"\n[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n[network]\n{ca_file}\
         resolve = {{ \"{GATEWAY}\" = \"127.0.0.1:{port}\", \"{BUCKET}\" = \"127.0.0.1:{port}\" }}\n"
    );
    fs::write(bench.config(), text).unwrap();
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn both_clouds_are_reached_by_https_and_http_urls_are_upgraded() {
    let mut bench = bench(&Authority::new(), &[GATEWAY, BUCKET], true).await;
    bench.once().await;
    let row = bench.row("a.jpg").await;
    assert_eq!(row.state, State::Uploaded, "{row:#?}");
    assert_eq!(row.object_url.unwrap(), format!("https://{BUCKET}/qualification/OWNBRAND/1001/1.jpg"));
    assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), jpg(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_does_not_fit_is_refused_with_a_clear_message() {
    let table = [
        (&["elsewhere.example"][..], true, "not valid for name"),
        (&[GATEWAY, BUCKET][..], false, "network.ca_file"),
    ];
    for (hosts, ca_file, words) in table {
        let mut bench = bench(&Authority::new(), hosts, ca_file).await;
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!((row.state.as_str(), row.error_kind), ("retrying", Some(ErrorKind::Network)));
        let message = row.error_message.unwrap();
        assert!(
            message.contains(GATEWAY) && message.contains("certificate") && message.contains(words),
            "{message}"
        );
        assert_eq!(bench.sandbox.requests().len(), 0, "nothing was sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_read_as_der_and_behind_a_byte_order_mark() {
    let authority = Authority::new();
    let marked = [b"\xef\xbb\xbf", authority.pem().as_bytes()].concat();
    let windows = String::from_utf8(marked.clone()).unwrap().replace('\n', "\r\n").into_bytes();
    for bytes in [marked, windows, authority.0.der().to_vec()] {
        let mut bench = bench(&authority, &[GATEWAY, BUCKET], true).await;
        fs::write(bench.folder.path().join("ca.pem"), bytes).unwrap();
        bench.once().await;
        assert_eq!(bench.row("a.jpg").await.state, State::Uploaded);
    }
    for (bytes, words) in [
        (&b"\x30\x03\x02\x01\x01"[..], "ca.pem"),
        (b"", "holds no certificate"),
        (b"nothing", "holds no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n", "ca.pem"),
    ] {
        let bench = bench(&authority, &[GATEWAY, BUCKET], true).await;
        fs::write(bench.folder.path().join("ca.pem"), bytes).unwrap();
        let settings = brandpost::config::Settings::load(&bench.config()).unwrap();
        let error = brandpost::cloud::Clients::new(&settings).unwrap_err().to_string();
        assert!(error.contains("network.ca_file") && error.contains(words), "{error}");
    }
}
