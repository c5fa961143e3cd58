//! A client for a running Convex backend.
//!
//! Requests and replies are values, made and read without I/O in [`api`]. How
//! they travel is a [`Transport`]'s business: straight over HTTP from here, or
//! through a program inside the backend's container.

pub mod api;
mod client;
pub mod curl;
mod error;
mod http;
pub mod log;
pub mod page;
mod request;

pub use self::{
    client::{Client, Transport, send},
    error::{BackendError, TransportError},
    http::{HttpTransport, UrlError, check_authorities},
    request::{Method, Request, Response},
};
