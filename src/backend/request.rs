//! Requests and replies as values.

use std::fmt;

use crate::convex::Secret;

/// Longest reply that is read, in bytes. The longest sane one lists 512 KiB of
/// variables, every character of which may take six in JSON.
pub const MAX_REPLY: usize = 8 * 1024 * 1024;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Change, or a read whose question is in the body.
    Post,
}

impl Method {
    /// As in the request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// One request, without where it goes and who asks.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it asks for.
    pub method: Method,
    /// The path, from the slash on.
    pub path: &'static str,
    /// The body, always JSON. It may hold values of variables.
    pub body: Option<Secret>,
    /// Whether the admin key goes with it.
    pub authorized: bool,
}

/// The reply to a request.
#[derive(Clone)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body. It may hold values of variables.
    pub body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
