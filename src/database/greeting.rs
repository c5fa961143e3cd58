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

/// The server sends more than its answers can take.
#[derive(Debug, thiserror::Error)]
pub(super) enum TooMuch {
    /// In one message, which the driver would hold as a whole.
    #[error("a message of {0} bytes came, and {MAX_MESSAGE} are the most")]
    InOneMessage(u32),
    /// In all of them together.
    #[error("more than {MAX_ALL} bytes came")]
    InAll,
}

/// The longest message of a server, in bytes. Rows are the longest there are, of some kilobytes.
const MAX_MESSAGE: u32 = 1 << 20;

/// The most that a server sends in one session, in bytes. The driver holds what nobody has taken.
const MAX_ALL: u64 = 8 << 20;

/// A stream on which the first thing that is read must be a server's answer to a log-in, and which
/// ends with an error where messages are too long or too many. The driver would wait for the end of
/// whatever it takes for a long message, and hold all of it.
pub(super) struct Greeted<S> {
    stream: S,
    met: bool,
    messages: Messages,
}

impl<S> Greeted<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            met: false,
            messages: Messages::default(),
        }
    }
}

/// How far the messages have been read.
#[derive(Debug, Default)]
struct Messages {
    all: u64,
    /// The kind and the length of the next message, as far as they have come.
    head: Vec<u8>,
    /// How much of the current message is still to come.
    left: usize,
}

impl Messages {
    const HEAD: usize = 5;

    fn note(&mut self, mut read: &[u8]) -> Result<(), TooMuch> {
        self.all += read.len() as u64;
        if self.all > MAX_ALL {
            return Err(TooMuch::InAll);
        }
        while !read.is_empty() {
            let passed = self.left.min(read.len());
            self.left -= passed;
            read = &read[passed..];
            let (head, rest) = read.split_at(read.len().min(Self::HEAD - self.head.len()));
            self.head.extend(head);
            read = rest;
            let Ok([_, length @ ..]) = <[u8; Self::HEAD]>::try_from(&self.head[..]) else {
                continue;
            };
            // The length counts itself, and not the kind.
            let length = u32::from_be_bytes(length);
            if length > MAX_MESSAGE {
                return Err(TooMuch::InOneMessage(length));
            }
            self.left = (length as usize).saturating_sub(4);
            self.head.clear();
        }
        Ok(())
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
        if let Err(too_much) = self.messages.note(read) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, too_much)));
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
    use super::{MAX_ALL, MAX_MESSAGE, Messages, Stranger, TooMuch, is_answer};

    fn message(length: u32) -> Vec<u8> {
        let mut message = vec![b'D'];
        message.extend(length.to_be_bytes());
        message.resize(message.len() + length as usize - 4, 0);
        message
    }

    #[test]
    fn messages_are_neither_too_long_nor_too_many() {
        let three = [message(4), message(5), message(300)].concat();
        for size in [1, 2, 5, 6, 7, three.len()] {
            let mut messages = Messages::default();
            for part in three.repeat(3).chunks(size) {
                messages.note(part).unwrap();
            }
            assert_eq!((messages.left, messages.head.len()), (0, 0), "{size}");
            let long = [b"D".as_slice(), &(2_u32 << 30).to_be_bytes()].concat();
            let refused = long.chunks(size).find_map(|it| messages.note(it).err());
            assert!(
                matches!(refused, Some(TooMuch::InOneMessage(length)) if length == 2 << 30),
                "{refused:?}"
            );
        }
        let row = message(MAX_MESSAGE);
        let mut messages = Messages::default();
        let taken = (0..u32::MAX)
            .take_while(|_| messages.note(&row).is_ok())
            .count();
        assert_eq!(taken as u64, MAX_ALL / row.len() as u64);
    }

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
