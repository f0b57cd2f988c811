//! Small pictures of the local files: only of files that have a row and passed inspection, and only as long as
//! they are what was inspected. The path comes from the row, never from the request.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageReader, Limits, Rgb, RgbImage};
use pictures::{Depth, Format, HEAD, Walk, sniff};
use tokio::sync::Semaphore;

use super::api::{ApiError, unknown};
use super::{Shared, Sources};
use crate::domain::brand::UploadId;
use crate::domain::upload::Stamp;
use crate::files;
use crate::fs_timeout::STAT_TIMEOUT;

/// Width and height at most, in pixels.
const SIDE: u32 = 240;
const QUALITY: u8 = 78;

/// So many are remembered, of some 10 KiB each.
const KEPT: usize = 512;

/// Those that were made lately, and the right to make one: one at a time, beside the real work.
#[derive(Debug)]
pub(super) struct Thumbnails {
    kept: Mutex<Kept>,
    permit: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Kept {
    pictures: HashMap<String, Bytes>,
    order: VecDeque<String>,
}

impl Default for Thumbnails {
    fn default() -> Self {
        Self { kept: Mutex::default(), permit: Arc::new(Semaphore::new(1)) }
    }
}

impl Thumbnails {
    fn get(&self, sha256: &str) -> Option<Bytes> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pictures.get(sha256).cloned()
    }

    fn keep(&self, sha256: &str, picture: &Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.pictures.insert(sha256.to_owned(), picture.clone()).is_none() {
            kept.order.push_back(sha256.to_owned());
        }
        if kept.order.len() > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.pictures.remove(&oldest);
        }
    }
}

pub(super) async fn thumbnail(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<UploadId>,
) -> Result<Response, ApiError> {
    let row = shared.from.ledger.report().picture(id).await?;
    let (path, stamp, sha256) = row.ok_or_else(unknown)?;
    let picture = match shared.thumbnails.get(&sha256) {
        Some(picture) => picture,
        // a file server that is dead holds up no page
        None => tokio::time::timeout(STAT_TIMEOUT, made(shared, path, stamp, sha256))
            .await
            .ok()
            .flatten()
            .ok_or_else(unknown)?,
    };
    let headers = [(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "private, max-age=60")];
    Ok((headers, picture).into_response())
}

/// Makes one at a time. The permit is held as long as the work lasts, also when nobody waits for it any more.
async fn made(shared: Arc<Shared>, path: PathBuf, stamp: Stamp, sha256: String) -> Option<Bytes> {
    let permit = shared.thumbnails.permit.clone().acquire_owned().await.ok()?;
    let work = move || {
        let _permit = permit;
        let picture = match shared.thumbnails.get(&sha256) {
            // somebody asked for the same one before
            Some(picture) => picture,
            None => Bytes::from(make(&shared.from, &path, stamp)?),
        };
        shared.thumbnails.keep(&sha256, &picture);
        Some(picture)
    };
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

/// `None`: it is not there any more, not as it was, or cannot be shown.
fn make(from: &Sources, path: &std::path::Path, stamp: Stamp) -> Option<Vec<u8>> {
    let folder = path.parent()?;
    let folder = files::open_brand_folder(from.settings.top_of(folder), folder).ok()?;
    let file = files::open_regular(folder, path.file_name()?).ok()?;
    if files::stamp(&file).ok()? != stamp {
        return None;
    }
    let format = format_of(&file)?;
    let bytes = decoding_cost(&file, format, from)?;
    // a page is not made to wait for checks: without memory there is no thumbnail now
    let _share = from.picture_memory.try_take(bytes)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(bytes);
    let mut reader = ImageReader::new(BufReader::new(file)).with_guessed_format().ok()?;
    reader.limits(limits);
    let small = reader.decode().ok()?.thumbnail(SIDE, SIDE);
    let mut jpeg = Vec::new();
    on_white(&small).write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY)).ok()?;
    Some(jpeg)
}

fn format_of(file: &File) -> Option<Format> {
    let mut head = [0; HEAD];
    let length = file.read_at(&mut head, 0).ok()?;
    sniff(&head[..length]).ok()
}

/// What a decoder needs for it, bytes; from its headers. `None`: no decoder handles it.
fn decoding_cost(file: &File, format: Format, from: &Sources) -> Option<u64> {
    let mut walk = Walk::new(format, Depth::Structure, from.settings.images.max_pixels, &from.picture_memory);
    let (mut buffer, mut at) = (vec![0; 64 << 10], 0);
    loop {
        match file.read_at(&mut buffer, at).ok()? {
            0 => break,
            count => {
                walk.feed(&buffer[..count]).ok()?;
                at += count as u64;
            }
        }
    }
    walk.decoding_cost()
}

/// JPEG knows no transparency.
fn on_white(picture: &DynamicImage) -> RgbImage {
    let pixels = picture.to_rgba8();
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0.map(u16::from);
        let mix = |colour: u16| u8::try_from((colour * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        Rgb([mix(red), mix(green), mix(blue)])
    })
}
