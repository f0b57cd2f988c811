//! Answers that never end, from a server that is neither cloud: each call has a limit for all of it.

use brandpost::domain::failure::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN};

/// What is said once, and what is said for ever after it.
#[derive(Clone, Copy)]
struct Endless(&'static [u8], &'static [u8], Duration);

const SOON: Duration = Duration::from_millis(1);
const REFUSED: &[u8] = b"HTTP/1.1 403 Forbidden\r\nx-oss-request-id: R\r\ncontent-length: 60000\r\n\r\n";

async fn serve(endless: Endless) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, endless));
        }
    });
    port
}

async fn answer(mut stream: TcpStream, Endless(first, then, pause): Endless) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = vec![0; 64 << 10];
    let _ = stream.read(&mut request).await?;
    stream.write_all(first).await?;
    loop {
        stream.write_all(then).await?;
        tokio::time::sleep(pause).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_ends_is_given_up() {
    let continues = Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", SOON);
    let flood = Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", Duration::ZERO);
    let drops = Endless(REFUSED, b" ", Duration::from_millis(50));
    let head = Endless(b"HTTP/1.1 403 Forbidden\r\nx-pad: ", b"x", Duration::from_millis(50));
    let (gateway, oss) = ("api.link.aliyun.com", "iotx-industry.oss-cn-hangzhou.aliyuncs.com");
    let all = [continues, flood, drops, head];
    for (limits, cloud, all) in [
        ("", gateway, &all[..]),
        ("", oss, &all),
        // the answer comes while the body waits for its turn
        ("[limits]\nbytes_per_second = \"1KiB\"\n", oss, &[drops]),
    ] {
        for (number, endless) in all.iter().enumerate() {
            let name = format!("{cloud} {limits} {number}");
            let mut bench = Bench::with(&format!(
                "[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n[oss]\nhttps = \"allow\"\ntimeout = \"500ms\"\n{limits}"
            ))
            .await;
            let sandbox = format!("\"{cloud}\" = \"127.0.0.1:{}\"", bench.sandbox.addr().port());
            let config = std::fs::read_to_string(bench.config()).unwrap();
            assert!(config.contains(&sandbox));
            let config =
                config.replace(&sandbox, &format!("\"{cloud}\" = \"127.0.0.1:{}\"", serve(*endless).await));
            let config = config.replace("[gateway]\n", "[gateway]\ntimeout = \"500ms\"\n");
            std::fs::write(bench.config(), config).unwrap();
            bench.drop_file(OWN, "a.jpg", &[jpg(1), vec![0; 400 << 10]].concat());
            let begin = Instant::now();
            bench.once().await;
            let row = bench.row("a.jpg").await;
            assert_eq!(
                (row.state.as_str(), row.error_kind),
                ("retrying", Some(ErrorKind::Timeout)),
                "{name}"
            );
            assert!(begin.elapsed() < Duration::from_secs(10), "{name}: {:?}", begin.elapsed());
        }
    }
}
