//! Terraform's plugin protocol, version 6, for any provider.
//!
//! Nothing in here knows what the provider is about. A provider implements
//! [`Provider`] and the traits of its [`Members`], and hands itself to
//! [`serve`].

mod diagnostic;
mod erased;
mod members;
mod model;
mod planning;
mod private;
mod serve;
mod service;
mod timeouts;

pub mod redact;
pub mod schema;
pub mod value;
pub mod wire;

pub use self::{
    diagnostic::{Diagnostic, Diagnostics, Severity, wrap},
    erased::Members,
    members::{
        Cx, DataSource, EphemeralResource, Function, FunctionError, Parameter, Provider, Resource,
        Signature,
    },
    model::{ModelError, from_value, to_value},
    planning::{Config, Known, Plan},
    private::Private,
    serve::{Launch, LogLevel, Refusal, ServeError, install_log, serve, serve_for_debugging},
    timeouts::Timeouts,
};

/// Code generated from `proto/tfplugin6.proto`.
#[allow(missing_docs, unused_qualifications, clippy::pedantic)]
pub mod proto {
    tonic::include_proto!("tfplugin6");
}
