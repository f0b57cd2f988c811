//! The log: one line an event, on stderr, in the shape that its reader wants.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Begins to log to `writer`. `RUST_LOG` wins over the configured level.
///
/// # Errors
/// When a log was begun before, or the level is no filter.
pub fn init<W>(log: &Log, writer: W) -> anyhow::Result<()>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter)?,
        _ => EnvFilter::try_new(&log.level)?,
    };
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_target(false)
        .with_ansi(colour);
    match shape(log.format, terminal) {
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init()?,
        // the journal stamps every line itself
        LogFormat::Journald => lines.without_time().finish().try_init()?,
        LogFormat::Text | LogFormat::Auto => lines.finish().try_init()?,
    }
    Ok(())
}

fn shape(format: LogFormat, terminal: bool) -> LogFormat {
    match format {
        LogFormat::Auto if !terminal && std::env::var_os("JOURNAL_STREAM").is_some() => LogFormat::Journald,
        other => other,
    }
}
