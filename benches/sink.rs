//! What the comparison with other uploaders needs (`benches/peers.py`): pictures, and a server that hashes what it gets
//! and throws it away. It answers as OSS and as S3 do, and verifies no signature.
//!
//! `sink make FOLDER COUNT` · `sink serve` (prints its address, ends with its standard input)

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on has failed, and prints"
)]

use std::fs;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use md5::{Digest, Md5};

/// About 482 KB when it is a JPEG of noise.
const SIDE: u32 = 640;

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["make", folder, count] => make(Path::new(folder), count.parse().unwrap()),
        ["serve"] => tokio::runtime::Runtime::new().unwrap().block_on(serve()),
        _ => println!("sink make FOLDER COUNT | sink serve"),
    }
}

/// Ten pictures a brand, each like no other: the number is in a comment.
fn make(folder: &Path, count: u32) {
    let mut random = fastrand::Rng::with_seed(7);
    let pixel = |_, _| image::Rgb([random.u8(..), random.u8(..), random.u8(..)]);
    let image = image::RgbImage::from_fn(SIDE, SIDE, pixel);
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 75);
    image.write_with_encoder(encoder).unwrap();
    println!("{} bytes each", bytes.len());
    for number in 0..count {
        let brand = folder.join(format!("OWNBRAND/{}", 1 + number / 10));
        fs::create_dir_all(&brand).unwrap();
        let comment = [&[0xff, 0xfe, 0, 6][..], &number.to_be_bytes()].concat();
        let picture = [&bytes[..2], &comment, &bytes[2..]].concat();
        fs::write(brand.join(format!("{number}.jpg")), picture).unwrap();
    }
}

async fn serve() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served.unwrap(),
        _ = ended => {}
    }
}

async fn answer(request: Request<Body>) -> Response {
    match *request.method() {
        Method::PUT => take(request.into_body()).await,
        Method::HEAD => StatusCode::NOT_FOUND.into_response(),
        _ => (
            [("content-type", "application/xml")],
            "<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>",
        )
            .into_response(),
    }
}

async fn take(body: Body) -> Response {
    let (mut md5, mut crc) = (Md5::new(), crc64fast::Digest::new());
    let mut body = body.into_data_stream();
    while let Some(part) = body.next().await {
        let part = part.unwrap();
        md5.update(&part);
        crc.write(&part);
    }
    let etag = brandpost::domain::text::hex(&md5.finalize());
    let headers = [
        ("etag", format!("\"{etag}\"")),
        ("x-oss-hash-crc64ecma", crc.sum64().to_string()),
        ("x-oss-request-id", "BENCH".into()),
    ];
    (headers, "").into_response()
}
