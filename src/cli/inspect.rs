//! `brandpost inspect`: the verdict on files that are in no inbox, by the same checks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pictures::Budget;
use serde::Serialize;

use super::lang::{self, tr};
use super::style::{of_state, paint, visible};
use crate::config::{Images, Settings, locate};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::image::Format;
use crate::domain::upload::{Picture, State};
use crate::files;
use crate::intake::inspect::{Inspector, Subject};
use crate::intake::is_ignored;

/// Nothing else works on pictures in this process.
const MEMORY: u64 = 96 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Pictures
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A JSON array
    #[arg(long)]
    json: bool,
}

/// The verdict on one file, as programs read it. An error leaves the size and the checksum empty.
#[derive(Debug, Default, Serialize)]
struct Verdict {
    file: String,
    ok: bool,
    suffix: Option<&'static str>,
    width: Option<u32>,
    height: Option<u32>,
    size_bytes: Option<u64>,
    sha256: Option<String>,
    error_kind: Option<ErrorKind>,
    error_message: Option<String>,
}

/// One line a file as it is checked, or all of them as JSON.
pub(super) fn inspect(config: Option<PathBuf>, args: &Args) -> anyhow::Result<ExitCode> {
    let inspector = Inspector::new(rules(config)?, Budget::new(MEMORY));
    let mut verdicts = Vec::new();
    let mut all_sound = true;
    for path in &args.files {
        let found = look_at(&inspector, path);
        all_sound &= found.is_ok();
        if args.json {
            verdicts.push(verdict(path, found));
        } else {
            anstream::println!("{}", line(path, &found));
        }
    }
    if args.json {
        super::data::print_json(&verdicts)?;
    }
    Ok(if all_sound { ExitCode::SUCCESS } else { ExitCode::from(super::NO) })
}

/// Those of the configuration, if there is one: people check pictures on machines without the service too.
fn rules(config: Option<PathBuf>) -> anyhow::Result<Images> {
    let asked = config.is_some();
    let path = locate(config)?;
    if !asked && !path.exists() {
        return Ok(Images::default());
    }
    Ok(Settings::load(&path)?.images)
}

fn verdict(path: &Path, found: Result<(Picture, u64), Failure>) -> Verdict {
    let file = path.to_string_lossy().into_owned();
    match found {
        Ok((picture, size)) => Verdict {
            file,
            ok: true,
            suffix: Some(picture.format.suffix()),
            width: Some(picture.dimensions.width),
            height: Some(picture.dimensions.height),
            size_bytes: Some(size),
            sha256: Some(picture.digests.sha256),
            ..Verdict::default()
        },
        Err(failure) => Verdict {
            file,
            error_kind: Some(failure.kind),
            error_message: Some(failure.message),
            ..Verdict::default()
        },
    }
}

fn look_at(inspector: &Inspector, path: &Path) -> Result<(Picture, u64), Failure> {
    // as in an inbox
    if path.symlink_metadata().is_ok_and(|about| about.is_symlink()) {
        return Err(Failure::new(ErrorKind::NotAFile, "a symbolic link, which is not followed"));
    }
    let unreadable = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::InvalidInput => ErrorKind::NotAFile,
            _ => ErrorKind::Unreadable,
        };
        Failure::new(kind, error.to_string())
    };
    let file = files::open_named(path).map_err(unreadable)?;
    let subject = Subject::new(&file, path);
    let inspected = inspector.inspect(&[subject]).into_iter().next().transpose().map_err(unreadable)?;
    let inspected = inspected.flatten().ok_or_else(|| {
        Failure::new(ErrorKind::FileChanged, "it changes while it is read: wait until it is copied")
    })?;
    let picture = inspected.result.as_ref().map_err(Failure::from)?;
    Ok((picture.clone(), inspected.stamp.size))
}

/// What else becomes of a file of this name.
fn notes(path: &Path, picture: &Picture) -> String {
    let mut notes = String::new();
    let suffix = path.extension().unwrap_or_default().to_string_lossy();
    if Format::from_suffix(&suffix).is_some_and(|named| named != picture.format) {
        let (suffix, format) = (visible(&suffix), picture.format.suffix());
        notes += &tr!(
            "; the name says {suffix}: it is sent as {format}",
            "；文件名后缀是 {suffix}，会按 {format} 上传"
        );
    }
    if path.file_name().is_some_and(|name| is_ignored(name, &[])) {
        notes += &tr!(
            "; files of such a name are left alone in an inbox",
            "；放进监视目录后，这样命名的文件不会处理"
        );
    }
    notes
}

fn line(path: &Path, found: &Result<(Picture, u64), Failure>) -> String {
    let file = visible(&path.to_string_lossy());
    match found {
        Ok((picture, _)) => {
            let sound = paint(of_state(State::Uploaded), &tr!("sound", "合格"));
            let (suffix, pixels) = (picture.format.suffix(), picture.dimensions);
            let notes = notes(path, picture);
            tr!("{file}: {sound}: {suffix}, {pixels}{notes}", "{file}：{sound}：{suffix}，{pixels}{notes}")
        }
        Err(failure) => {
            let message = lang::detail(&failure.message);
            let label = paint(of_state(State::Rejected), lang::kind(failure.kind));
            match failure.kind {
                // the advice for these is meant for the inbox
                ErrorKind::Unreadable | ErrorKind::NotAFile => {
                    tr!("{file}: {label}: {message}", "{file}：{label}：{message}")
                }
                kind => {
                    let advice = lang::advice(kind);
                    tr!("{file}: {label}: {message}. {advice}", "{file}：{label}：{message}。{advice}")
                }
            }
        }
    }
}
