//! Log lines as go-plugin reads them from a plugin's standard error.
//!
//! One JSON object a line. Terraform 1.11.4 panics when `@message`, `@level`
//! or `@timestamp` is no string, and takes the whole line as text when the
//! timestamp has not exactly six fractional digits (go-plugin's
//! `log_entry.go`).

use std::{fmt, io::Write, panic::PanicHookInfo};

use serde_json::{Map, Value as Json};
use time::OffsetDateTime;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

use crate::plugin::{diagnostic::shorten, redact, service::panic_text};

/// go-plugin splits lines over 64 KiB, and Coder hangs on them.
const LONGEST_FIELD: usize = 16 * 1024;

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(LevelFilter);

impl LogLevel {
    /// As Terraform reads the variables for a provider's log. Without any of
    /// them Terraform throws the log away, so only errors are written.
    pub(super) fn from_environment(text: &impl Fn(&str) -> Option<String>) -> Self {
        let level = ["TF_LOG_PROVIDER", "TF_LOG"]
            .iter()
            .find_map(|name| text(name).filter(|level| !level.is_empty()));
        let filter = match level.map(|level| level.to_ascii_uppercase()).as_deref() {
            Some("TRACE" | "JSON") => LevelFilter::TRACE,
            Some("DEBUG") => LevelFilter::DEBUG,
            Some("INFO") => LevelFilter::INFO,
            Some("WARN") => LevelFilter::WARN,
            Some("OFF") => LevelFilter::OFF,
            // Terraform takes a level it does not know as TRACE.
            Some(level) if level != "ERROR" => LevelFilter::TRACE,
            _ => LevelFilter::ERROR,
        };
        Self(filter)
    }
}

/// Sends log lines of the crates named in `ours`, and panics, to standard
/// error. Other crates log what they send and receive, secrets included, and
/// are not heard.
pub fn install(level: LogLevel, ours: &'static [&'static str]) {
    let layer = HclogLayer {
        level: level.0,
        ours,
    };
    let subscriber = Registry::default().with(layer);
    // Only a second call in one process fails, and changes nothing.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(report_panic));
}

fn report_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let mut fields = Map::new();
    fields.insert("place".to_owned(), place.into());
    let said = format!("panicked: {}", panic_text(info.payload()));
    write_line(Level::ERROR, "panic", &said, fields);
}

struct HclogLayer {
    level: LevelFilter,
    ours: &'static [&'static str],
}

impl<S: Subscriber> Layer<S> for HclogLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let of_crate = metadata.target().split("::").next();
        *metadata.level() <= self.level
            && of_crate.is_some_and(|of_crate| self.ours.contains(&of_crate))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        write_line(
            *metadata.level(),
            metadata.target(),
            &line.message,
            line.fields,
        );
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: Map<String, Json>,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.fields
                .insert(field.name().to_owned(), clean(value).into());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn clean(text: &str) -> String {
    shorten(redact::strike(text), LONGEST_FIELD)
}

fn write_line(level: Level, module: &str, message: &str, mut fields: Map<String, Json>) {
    fields.insert(
        "@level".to_owned(),
        level.as_str().to_ascii_lowercase().into(),
    );
    fields.insert("@message".to_owned(), clean(message).into());
    fields.insert("@module".to_owned(), module.into());
    fields.insert(
        "@timestamp".to_owned(),
        timestamp(OffsetDateTime::now_utc()).into(),
    );
    let mut line = Json::Object(fields).to_string();
    line.push('\n');
    // There is nobody left to tell when standard error is closed.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

fn timestamp(at: OffsetDateTime) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.microsecond(),
    )
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use tracing::level_filters::LevelFilter;

    use super::{LogLevel, timestamp};

    #[test]
    fn the_timestamp_has_six_fractional_digits() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_000_042_999).unwrap();
        assert_eq!(timestamp(at), "2023-11-14T22:13:20.000042Z");
    }

    #[test]
    fn the_variable_for_providers_wins() {
        let level = |provider: &'static str, all: &'static str| {
            LogLevel::from_environment(&|name: &str| {
                let value = if name == "TF_LOG" { all } else { provider };
                Some(value.to_owned())
            })
            .0
        };
        assert_eq!(level("info", "TRACE"), LevelFilter::INFO);
        assert_eq!(level("", "json"), LevelFilter::TRACE);
        assert_eq!(level("", ""), LevelFilter::ERROR);
        assert_eq!(level("off", "debug"), LevelFilter::OFF);
        assert_eq!(level("", "verbose"), LevelFilter::TRACE);
    }
}
