//! The command line, as the real backend takes it.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

/// A stand-in for the self-hosted Convex backend, for tests.
#[derive(Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
#[command(name = "convex-local-backend", version, group(ArgGroup::new("storage").multiple(false)))]
pub struct Flags {
    /// Path of the `SQLite` file, or URL of the database server
    #[arg(default_value = "convex_local_backend.sqlite3")]
    pub db_spec: String,

    /// Kind of database
    #[arg(short, long, value_enum, default_value_t = Database::Sqlite)]
    pub db: Database,

    /// Address to listen on
    #[arg(short, long, default_value = "0.0.0.0")]
    pub interface: Ipv4Addr,

    /// Port of the API
    #[arg(short, long, default_value = "3210")]
    pub port: u16,

    /// Port of HTTP actions
    #[arg(long, default_value = "3211")]
    pub site_proxy_port: u16,

    /// URL of the API as clients reach it; may be empty
    #[arg(long, requires = "convex_site")]
    pub convex_origin: Option<String>,

    /// URL of HTTP actions as clients reach it; may be empty
    #[arg(long, requires = "convex_origin")]
    pub convex_site: Option<String>,

    /// Name of the instance
    #[arg(long, requires = "instance_secret")]
    pub instance_name: Option<String>,

    /// Secret of the instance, 32 bytes in hexadecimal
    #[arg(long, requires = "instance_name", hide_default_value = true)]
    pub instance_secret: Option<String>,

    /// Directory for files
    #[arg(long, group = "storage", default_value = "convex_local_storage")]
    pub local_storage: PathBuf,

    /// Keep files in S3 instead of a directory
    #[arg(long, group = "storage")]
    pub s3_storage: bool,

    /// Use TLS to the database only where the server offers it
    #[arg(long)]
    pub do_not_require_ssl: bool,

    /// Send no beacon (the stand-in never sends one)
    #[arg(long, env = "DISABLE_BEACON", value_parser = BoolishValueParser::new())]
    pub disable_beacon: bool,

    /// Word that identifies the kind of installation in the beacon
    #[arg(long, hide = true, default_value = "self-host")]
    pub beacon_tag: String,

    /// Keep details of errors from clients
    #[arg(long)]
    pub redact_logs_to_client: bool,

    /// Proxy for requests of functions (the stand-in runs none)
    #[arg(long)]
    pub convex_http_proxy: Option<url::Url>,

    /// File for log events (the stand-in has none)
    #[arg(long)]
    pub local_log_sink: Option<PathBuf>,

    /// Something else than serving
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The databases that the real backend knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Database {
    /// A file.
    Sqlite,
    /// A Postgres server.
    PostgresV5,
    /// A `MySQL` server.
    MysqlV5,
}

/// What can be done instead of serving.
#[derive(Subcommand)]
pub enum Command {
    /// Generate keys without starting the server
    Keygen {
        /// The kind of key
        #[command(subcommand)]
        kind: Key,
    },
}

/// The keys that can be generated.
#[derive(Subcommand)]
pub enum Key {
    /// Print an admin key of an instance
    AdminKey(Instance),
}

/// An instance, by what its keys are made of.
#[derive(Args)]
pub struct Instance {
    /// Name of the instance
    #[arg(long)]
    pub instance_name: String,

    /// Secret of the instance, 32 bytes in hexadecimal
    #[arg(long)]
    pub instance_secret: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Flags::command().debug_assert();
    }
}
