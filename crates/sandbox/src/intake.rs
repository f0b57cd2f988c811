//! Takes a request's body: counted, hashed and kept, in one pass and without holding it all.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use tokio::{fs::File, io::AsyncWriteExt as _};
use uuid::Uuid;

use super::wire;

/// Where a body goes.
pub(super) enum Sink {
    Nowhere,
    Memory(Vec<u8>),
    File(TempFile),
}

/// Gone when dropped, unless it was given its final name.
pub(super) struct TempFile {
    path: PathBuf,
    file: File,
}

pub(super) struct Received {
    pub(super) len: u64,
    pub(super) md5: [u8; 16],
    pub(super) sha256_hex: String,
    pub(super) crc64: u64,
    pub(super) sink: Sink,
}

#[derive(Debug)]
pub(super) enum IntakeError {
    /// The client stopped before the end it had announced.
    Incomplete,
    TooLarge,
    Disk,
}

impl From<io::Error> for IntakeError {
    fn from(_: io::Error) -> Self {
        Self::Disk
    }
}

impl Sink {
    pub(super) async fn open(dir: Option<&Path>) -> io::Result<Self> {
        let Some(dir) = dir else {
            return Ok(Self::Memory(Vec::new()));
        };
        tokio::fs::create_dir_all(dir).await?;
        let path = dir.join(format!(".sandbox-{}.tmp", Uuid::new_v4().simple()));
        Ok(Self::File(TempFile { file: File::create_new(&path).await?, path }))
    }

    async fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Memory(bytes) => {
                bytes.extend_from_slice(chunk);
                Ok(())
            }
            Self::File(temp) => temp.file.write_all(chunk).await,
        }
    }

    /// The bytes if they are kept in memory, or `None` once the file has its final name.
    pub(super) async fn keep(self, path: &Path) -> io::Result<Option<Bytes>> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Memory(bytes) => Ok(Some(bytes.into())),
            Self::File(temp) => temp.rename(path).await.map(|()| None),
        }
    }
}

impl TempFile {
    /// Tokio writes behind: the flush makes sure that all bytes have reached the file before it is seen.
    async fn rename(mut self, path: &Path) -> io::Result<()> {
        self.file.flush().await?;
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        tokio::fs::rename(&self.path, path).await
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // After a rename there is nothing here any more, and that is the good case.
        let _ = std::fs::remove_file(&self.path);
    }
}

pub(super) async fn receive(
    mut body: Body,
    mut sink: Sink,
    limit: u64,
    bytes_per_second: Option<u64>,
) -> Result<Received, IntakeError> {
    let (mut md5, mut sha256, mut crc64) = (Md5::new(), Sha256::new(), crc64fast::Digest::new());
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| IntakeError::Incomplete)?;
        let Ok(chunk) = frame.into_data() else { continue };
        len += chunk.len() as u64;
        if len > limit {
            return Err(IntakeError::TooLarge);
        }
        md5.update(&chunk);
        sha256.update(&chunk);
        crc64.write(&chunk);
        sink.take(&chunk).await?;
        pause(chunk.len(), bytes_per_second).await;
    }
    let sha256_hex = wire::hex(&sha256.finalize());
    Ok(Received { len, md5: md5.finalize().into(), sha256_hex, crc64: crc64.sum64(), sink })
}

async fn pause(bytes: usize, bytes_per_second: Option<u64>) {
    if let Some(pace) = bytes_per_second {
        let micros = (bytes as u64).saturating_mul(1_000_000) / pace.max(1);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }
}

/// A key's place under `dir`: one file name for each part between slashes, none of which can lead out or up.
pub(super) fn object_path(dir: &Path, bucket: &str, key: &str) -> PathBuf {
    key.split('/').fold(dir.join(file_name(bucket)), |path, part| path.join(file_name(part)))
}

/// Most file systems take 255 bytes; the rest is room for a suffix.
const NAME_MAX: usize = 200;

fn file_name(part: &str) -> String {
    let odd = |c: char| c.is_control() || matches!(c, '%' | '\\' | ':');
    let name: String = match part {
        "" => "%".to_owned(),
        _ if part.starts_with('.') => format!("%2E{}", file_name_rest(&part[1..], odd)),
        _ => file_name_rest(part, odd),
    };
    if name.len() > NAME_MAX { format!("%{}", wire::hex(&Sha256::digest(name.as_bytes()))) } else { name }
}

fn file_name_rest(part: &str, odd: impl Fn(char) -> bool) -> String {
    let shown = |c: char| {
        if odd(c) { wire::encode_query(&c.to_string()) } else { c.to_string() }
    };
    part.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leads_out_of_the_folder() {
        let place = |key: &str| object_path(Path::new("/d"), "b", key).display().to_string();
        assert_eq!(place("a/b.jpg"), "/d/b/a/b.jpg");
        assert_eq!(place("../../etc/passwd"), "/d/b/%2E./%2E./etc/passwd");
        assert_eq!(place("/etc/passwd"), "/d/b/%/etc/passwd");
        assert_eq!(place("."), "/d/b/%2E");
        assert_eq!(place("a\\b\0c"), "/d/b/a%5Cb%00c");
        assert_eq!(place("张三.png"), "/d/b/张三.png");
        assert!(place(&"x".repeat(300)).len() < 100);
    }

    #[test]
    fn different_keys_have_different_places() {
        let keys = ["a", "a/", "/a", "a//b", "a/%/b", "a/%25/b", ".", "%2E", "..", "./a"];
        let places: std::collections::BTreeSet<_> =
            keys.iter().map(|key| object_path(Path::new("/d"), "b", key)).collect();
        assert_eq!(places.len(), keys.len());
    }

    #[tokio::test]
    async fn checksums_are_those_published() {
        let cases: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../../tests/fixtures/vectors/checksums.json")).unwrap();
        assert!(!cases.is_empty(), "an empty vector list proves nothing");
        for case in cases {
            let bytes = data(&case);
            assert_eq!(bytes.len() as u64, case["length"].as_u64().unwrap(), "{}", case["name"]);
            let got = receive(Body::from(bytes), Sink::Nowhere, u64::MAX, None).await.unwrap();
            assert_eq!(wire::hex(&got.md5), case["md5_hex"].as_str().unwrap(), "{}", case["name"]);
            assert_eq!(got.crc64.to_string(), case["crc64ecma"].as_str().unwrap(), "{}", case["name"]);
        }
    }

    fn data(case: &serde_json::Value) -> Vec<u8> {
        let length = usize::try_from(case["length"].as_u64().unwrap()).unwrap();
        let name = case["name"].as_str().unwrap();
        let byte = |value: usize| u8::try_from(value % 256).unwrap();
        match case["data_utf8"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None if name == "all_bytes" => (0..length).map(byte).collect(),
            None if name.starts_with("pattern") => (0..length).map(|i| byte(i * 31 + 7)).collect(),
            None => vec![0; length],
        }
    }
}
