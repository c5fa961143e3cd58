//! The first exchange on a connection.
//!
//! Whether the other side takes us is, with TLS 1.3 and with SSH, only seen by
//! its first words. A harmless question brings them about, so that a request
//! that could change something is sent on proven connections only.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Asks nothing of the daemon but an answer. Exists since API 1.40.
const QUESTION: &[u8] = b"HEAD /_ping HTTP/1.1\r\nHost: docker\r\n\r\n";

/// Longest answer, in bytes; a daemon's has some two hundred.
const LONGEST: usize = 8 * 1024;

/// Asks, and reads the answer to its end. Which answer does not matter: what
/// stands between may refuse this question and take others.
pub(super) async fn exchange<S>(stream: &mut S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(QUESTION).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        // Byte by byte would do, but what comes after the end belongs to
        // nobody: the daemon speaks only when it is asked.
        let mut part = [0; 1024];
        let length = stream.read(&mut part).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend(&part[..length]);
        if answer.len() > LONGEST || !looks_like_http(&answer) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "what answers is no Docker daemon",
            ));
        }
    }
    Ok(())
}

fn looks_like_http(answer: &[u8]) -> bool {
    let begin = b"HTTP/1.";
    let length = answer.len().min(begin.len());
    answer[..length] == begin[..length]
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::{QUESTION, exchange};

    async fn answered(parts: &[&str]) -> Result<(), ErrorKind> {
        let (mut ours, mut theirs) = duplex(1024);
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        let other_side = tokio::spawn(async move {
            let mut asked = vec![0; QUESTION.len()];
            theirs.read_exact(&mut asked).await.unwrap();
            for part in parts {
                theirs.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let outcome = exchange(&mut ours).await.map_err(|error| error.kind());
        other_side.await.unwrap();
        outcome
    }

    #[tokio::test]
    async fn any_answer_in_any_pieces_will_do() {
        assert_eq!(answered(&["HTTP/1.1 200 OK\r\n\r\n"]).await, Ok(()));
        let pieces = ["HT", "TP/1.1 403 Forbidden\r\nA: b\r", "\n\r", "\n"];
        assert_eq!(answered(&pieces).await, Ok(()));
    }

    #[tokio::test]
    async fn an_end_and_a_stranger_are_told_apart() {
        assert_eq!(answered(&[]).await, Err(ErrorKind::UnexpectedEof));
        assert_eq!(
            answered(&["HTTP/1.1 200 OK\r\n"]).await,
            Err(ErrorKind::UnexpectedEof)
        );
        assert_eq!(
            answered(&["Welcome to the machine\r\n\r\n"]).await,
            Err(ErrorKind::InvalidData)
        );
    }
}
