//! Tells a `PostgreSQL` server from anything else that may listen on a port.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest first message of a server, in bytes, by which `libpq` too knows a stranger.
const LONGEST: i32 = 30_000;

/// How much of a stranger's words is shown, in bytes.
const EXCERPT: usize = 60;

/// What answered is no `PostgreSQL` server.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not PostgreSQL's")]
pub(super) struct Stranger {
    /// What it said, as far as it can be shown.
    pub(super) said: String,
}

impl Stranger {
    pub(super) fn saying(bytes: &[u8]) -> Self {
        let said = bytes.iter().take(EXCERPT).map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => ' ',
        });
        let said: String = said.collect();
        Self {
            said: said.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

/// A stream on which the first thing that is read must be a server's answer to a log-in. The driver
/// would wait for the end of whatever it takes for a long message.
pub(super) struct Greeted<S> {
    stream: S,
    met: bool,
}

impl<S> Greeted<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, met: false }
    }
}

/// Whether bytes can be the beginning of a server's answer to a log-in: a request for a password,
/// an error, a notice, or a word on the version of the protocol.
fn is_answer(bytes: &[u8]) -> bool {
    let Some(kind) = bytes.first() else {
        return true;
    };
    if !b"RENv".contains(kind) {
        return false;
    }
    let length = bytes.get(1..5).and_then(|it| it.try_into().ok());
    if length.is_some_and(|it| !(5..=LONGEST).contains(&i32::from_be_bytes(it))) {
        return false;
    }
    // What follows tells a server of MySQL, whose greeting looks like a short message up to here.
    match (kind, bytes.get(5)) {
        (b'E' | b'N', Some(field)) => field.is_ascii_alphabetic(),
        (_, Some(high)) => *high == 0,
        (_, None) => true,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = &buf.filled()[before..];
        if !self.met && !read.is_empty() {
            if !is_answer(read) {
                let stranger = Stranger::saying(read);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, stranger)));
            }
            self.met = true;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::{Stranger, is_answer};

    #[test]
    fn answers_to_a_log_in_are_known_in_pieces_too() {
        let scram = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
        let error = b"E\0\0\0\x20SFATAL\0";
        let version = b"v\0\0\0\x0c\0\x03\0\0\0\0\0\0";
        for whole in [&scram[..], error, version] {
            for end in 0..whole.len() {
                assert!(is_answer(&whole[..end]), "{:?}", &whole[..end]);
            }
        }
    }

    #[test]
    fn others_are_not_taken_for_one() {
        for greeting in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"-ERR unknown command\r\n",
            b"RTSP/1.0 400 Bad Request\r\n",
            // MySQL's own, of a length that is a kind of message here.
            b"R\0\0\0\x0a8.0.36-0ubuntu\0",
            b"N\0\0\0\x0a5.7.44-log\0",
            b"E\0\0\0\x0a5.5.5-10\0",
            b"v\0\0\0\x0a5.5.5-10.6.16-MariaDB\0",
        ] {
            assert!(!is_answer(greeting), "{greeting:?}");
        }
    }

    #[test]
    fn what_a_stranger_says_can_be_shown() {
        let stranger = Stranger::saying(b"HTTP/1.1 400\r\n\r\n\xff\0<p>");
        assert_eq!(stranger.said, "HTTP/1.1 400 <p>");
        assert_eq!(Stranger::saying(&[b'x'; 500]).said.len(), 60);
    }
}
