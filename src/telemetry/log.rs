//! The log: one line an event, on stderr, in the shape that its reader wants; the journal gets fields.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config::{Log, LogFormat};
use crate::domain::text::visible;

/// The filter that is in force, so that a reload can set another one.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Begins to log to `writer`. `RUST_LOG` wins over the configured level.
///
/// # Errors
/// When a log was begun before, or the level is no filter.
pub(crate) fn init<W>(log: &Log, writer: W) -> anyhow::Result<()>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(log)?);
    let lines = layer(log.format, writer);
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    // a second log was refused above
    let _ = FILTER.set(handle);
    Ok(())
}

/// Puts another level in force, after a reload.
pub(crate) fn set_level(log: &Log) {
    // the level was checked with the rest of the configuration
    if let (Some(handle), Ok(filter)) = (FILTER.get(), filter(log)) {
        let _ = handle.reload(filter);
    }
}

fn filter(log: &Log) -> anyhow::Result<EnvFilter> {
    Ok(match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter)?,
        // a connection that broke is told of by those who need it, once
        _ if !log.level.contains("sqlx") => EnvFilter::try_new(format!("sqlx=error,{}", log.level))?,
        _ => EnvFilter::try_new(&log.level)?,
    })
}

/// The layer between the filter and the output.
type Lines = Box<dyn Layer<Layered<reload::Layer<EnvFilter, Registry>, Registry>> + Send + Sync>;

fn layer<W>(format: LogFormat, writer: W) -> Lines
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false).with_ansi(colour);
    let text = lines.fmt_fields(debug_fn(field).delimited(" "));
    match format {
        LogFormat::Json => Box::new(
            text.json().flatten_event(true).fmt_fields(tracing_subscriber::fmt::format::JsonFields::new()),
        ),
        LogFormat::Text => Box::new(text),
        LogFormat::Auto if !journal_is_ours() => Box::new(text),
        LogFormat::Auto | LogFormat::Journald => match tracing_journald::layer() {
            Ok(journal) => {
                Box::new(journal.with_field_prefix(None).with_syslog_identifier("brandpost".into()))
            }
            // it takes lines from stderr too, and stamps them itself
            Err(_) => Box::new(text.without_time()),
        },
    }
}

/// Kinds of events have ids for the journal; in lines for people they would be noise.
fn field(
    writer: &mut Writer<'_>,
    field: &tracing::field::Field,
    value: &dyn std::fmt::Debug,
) -> std::fmt::Result {
    // whoever names a folder or a file writes no line of his own here
    let value = visible(&format!("{value:?}"));
    match field.name() {
        "message_id" => Ok(()),
        "message" => write!(writer, "{value}"),
        name if writer.has_ansi_escapes() => write!(writer, "{}={value}", paint(name)),
        name => write!(writer, "{name}={value}"),
    }
}

fn paint(name: &str) -> String {
    let style = anstyle::Style::new().italic();
    format!("{style}{name}{style:#}")
}

/// Is stderr a stream to the journal? `systemd.exec(5)`: `$JOURNAL_STREAM` names its device and inode, and is
/// handed down to programs whose stderr is another one.
fn journal_is_ours() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let ours = rustix::fs::fstat(std::io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    ours.is_ok_and(|ours| ours == stream)
}
