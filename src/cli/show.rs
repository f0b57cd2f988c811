//! `brandpost show`.

use std::ffi::OsString;
use std::process::ExitCode;

use super::NO;
use super::style::{self, paint};
use crate::config::Settings;
use crate::domain::failure::ErrorKind;
use crate::ledger::{AttemptRow, Report, StatusRow};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The id from `brandpost status`, or the path of the file
    #[arg(value_name = "ID|PATH")]
    what: OsString,
}

pub(super) async fn show(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let report = super::report(settings).await?;
    let Some(row) = find(&report, &args.what).await? else {
        anstream::eprintln!(
            "brandpost: {} is unknown; `brandpost status` lists what there is",
            args.what.display()
        );
        return Ok(ExitCode::from(NO));
    };
    print_row(&row);
    let attempts = report.attempts(row.id).await?;
    if !attempts.is_empty() {
        anstream::println!();
        print_attempts(&attempts);
    }
    Ok(ExitCode::SUCCESS)
}

async fn find(report: &Report, what: &OsString) -> anyhow::Result<Option<StatusRow>> {
    if let Some(id) = what.to_str().and_then(|text| text.parse().ok()) {
        return Ok(report.by_id(id).await?);
    }
    let path = std::path::absolute(what)?;
    Ok(match report.by_path(path.as_os_str()).await? {
        None => match path.canonicalize() {
            Ok(path) => report.by_path(path.as_os_str()).await?,
            Err(_) => None,
        },
        found => found,
    })
}

fn print_row(row: &StatusRow) {
    let line = |name: &str, value: String| {
        anstream::println!("{} {value}", paint(style::FAINT, &format!("{name:<10}")));
    };
    let maybe = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            line(name, value.clone());
        }
    };
    line("file", style::visible(&row.path));
    line("brand", format!("{}/{}", row.brand_type, row.brand_id));
    line("state", paint(style::of_state(&row.state), &row.state));
    if let (Some(kind), Some(message)) = (&row.error_kind, &row.error_message) {
        let code = row.error_code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
        line("why", format!("{kind}{code}: {}", style::visible(message)));
        if let Ok(kind) = kind.parse::<ErrorKind>() {
            line("what to do", kind.advice().into());
        }
    }
    line("slot", row.slot.map_or_else(|| "none".into(), |slot| slot.to_string()));
    let size = (row.width, row.height, &row.suffix);
    let picture = if let (Some(width), Some(height), Some(suffix)) = size {
        format!(", {suffix} {width}×{height}")
    } else {
        String::new()
    };
    line("size", format!("{}{picture}", style::bytes(row.size_bytes)));
    line("revision", row.revision.to_string());
    line("attempts", row.attempts.to_string());
    maybe("next", &row.next_attempt_at.as_deref().map(style::local));
    maybe("sha256", &row.sha256);
    maybe("object", &row.object_url);
    maybe("etag", &row.etag);
    maybe("request", &row.request_id);
    line("detected", style::local(&row.detected_at));
    maybe("uploaded", &row.uploaded_at.as_deref().map(style::local));
    line("updated", style::local(&row.updated_at));
    line("id", row.id.to_string());
}

fn print_attempts(attempts: &[AttemptRow]) {
    let mut table = style::table(
        &["ATTEMPT", "STARTED", "TOOK", "OUTCOME", "WHY", "REQUEST"],
        &["ATTEMPT", "STARTED", "TOOK", "OUTCOME"],
    );
    for attempt in attempts {
        let kind = attempt.error_kind.as_deref().unwrap_or_default();
        let code = attempt.error_code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
        let message = attempt.error_message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        table.add_row([
            attempt.attempt.to_string(),
            style::local(&attempt.started_at),
            attempt.millis.map(|millis| format!("{millis} ms")).unwrap_or_default(),
            attempt.outcome.clone().unwrap_or_else(|| "under way".into()),
            format!("{kind}{code}{message}"),
            attempt.request_id.clone().unwrap_or_default(),
        ]);
    }
    style::print(&table);
}
