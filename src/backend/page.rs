//! Pages of any address, asked without an admin key.
//!
//! What is behind an address is found out so before anything secret goes there, and what a backend
//! finds at its own addresses is asked from inside its container.

use std::{future::Future, time::Duration};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Bytes, header};

use super::{
    TransportError, UrlError, curl,
    http::{Https, chain, classify, client, found_roots},
};
use crate::convex::Secret;

/// Longest page that is read, in bytes. The documents of a token issuer have some hundreds.
pub const MAX_PAGE: usize = 64 * 1024;

/// How long a page may take with all redirects, in seconds.
pub const PAGE_S: u64 = 10;

/// Most redirects that are followed, as many as a backend follows.
const REDIRECTS: usize = 10;

const AGENT: &str = concat!("terraform-provider-convex/", env!("CARGO_PKG_VERSION"));

/// What is asked for.
#[derive(Clone, Copy)]
pub enum Ask<'a> {
    /// A page, wherever redirects lead.
    Page(&'a str),
    /// The reply to a JSON text that a user sends. Redirects are not followed: the token must go
    /// nowhere else.
    AsUser {
        /// Where to.
        url: &'a str,
        /// The user's token.
        token: &'a Secret,
        /// The text.
        body: &'a str,
    },
}

impl Ask<'_> {
    fn url(&self) -> &str {
        match self {
            Self::Page(url) | Self::AsUser { url, .. } => url,
        }
    }
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The media type, with its parameters; empty when none is named.
    pub content_type: String,
    /// Where it was in the end.
    pub url: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A place that pages are asked from.
pub trait Pages: Send + Sync {
    /// Asks once, for at most [`PAGE_S`] seconds and [`MAX_PAGE`] bytes.
    fn ask(&self, ask: Ask<'_>) -> impl Future<Output = Result<Page, TransportError>> + Send;
}

/// This machine.
#[derive(Clone, Debug)]
pub struct FromHere {
    client: Https,
}

impl FromHere {
    /// Certificates are verified against the authorities that this system trusts.
    pub fn new() -> Result<Self, UrlError> {
        Ok(Self {
            client: client(found_roots())?,
        })
    }

    async fn once(
        &self,
        ask: Ask<'_>,
        url: &str,
    ) -> Result<(Page, Option<String>), TransportError> {
        let failed = |error: &dyn std::fmt::Display| TransportError::Failed(error.to_string());
        let mut request = hyper::Request::get(url)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, AGENT);
        let mut sent = Bytes::new();
        if let Ask::AsUser { token, body, .. } = ask {
            let mut value = header::HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|error| failed(&error))?;
            value.set_sensitive(true);
            request = request
                .method(hyper::Method::POST)
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::AUTHORIZATION, value);
            sent = Bytes::from(body.to_owned());
        }
        let request = request
            .body(Full::from(sent))
            .map_err(|error| failed(&error))?;
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| classify(&error, error.is_connect()))?;
        let status = response.status().as_u16();
        let text = |name| {
            let value = response.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
        let location = text(header::LOCATION).filter(|_| (300..=399).contains(&status));
        let body = Limited::new(response.into_body(), MAX_PAGE)
            .collect()
            .await
            .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => TransportError::TooLong { limit: MAX_PAGE },
                None => TransportError::Broken(chain(&*error)),
            })?;
        let page = Page {
            status,
            content_type,
            url: url.to_owned(),
            body: body.to_bytes().to_vec(),
        };
        Ok((page, location))
    }

    async fn follow(&self, ask: Ask<'_>) -> Result<Page, TransportError> {
        let mut url = ask.url().to_owned();
        let mut redirect: Option<Page> = None;
        for _ in 0..=REDIRECTS {
            let (page, location) = match (self.once(ask, &url).await, redirect) {
                (Ok(answer), _) => answer,
                // That it leads there is known, and that is what it says.
                (Err(_), Some(redirect)) => return Ok(Page { url, ..redirect }),
                (Err(error), None) => return Err(error),
            };
            let target = match (ask, location) {
                (Ask::Page(_), Some(location)) => url::Url::parse(&url)
                    .and_then(|url| url.join(&location))
                    .ok()
                    .filter(|target| matches!(target.scheme(), "http" | "https")),
                _ => None,
            };
            match target {
                Some(target) => url = target.into(),
                None => return Ok(page),
            }
            redirect = Some(page);
        }
        Err(TransportError::Failed(format!(
            "more than {REDIRECTS} redirects"
        )))
    }
}

impl Pages for FromHere {
    async fn ask(&self, ask: Ask<'_>) -> Result<Page, TransportError> {
        tokio::time::timeout(Duration::from_secs(PAGE_S), self.follow(ask))
            .await
            .unwrap_or(Err(TransportError::TimedOut { seconds: PAGE_S }))
    }
}

/// The configuration of [`curl::COMMAND`] that asks for a page. Proxies of the container's
/// environment are used, as its backend uses them.
#[must_use]
pub fn config(ask: Ask<'_>) -> Secret {
    let mut config = format!(
        "silent\nshow-error\ngloboff\nmax-time = {PAGE_S}\nmax-filesize = {MAX_PAGE}\nproto = \"=http,https\"\nwrite-out = \"\\n%{{http_code}} %{{url_effective}} %{{content_type}}\"\n"
    );
    let agent = format!("User-Agent: {AGENT}");
    let mut options = vec![("url", ask.url()), ("header", agent.as_str())];
    let bearer;
    match ask {
        Ask::Page(_) => {
            config.push_str(&format!(
                "location\nmax-redirs = {REDIRECTS}\nproto-redir = \"=http,https\"\n"
            ));
            options.push(("header", "Accept: application/json"));
        }
        Ask::AsUser { token, body, .. } => {
            bearer = format!("Authorization: Bearer {}", token.expose());
            options.extend([("header", bearer.as_str()), ("json", body)]);
        }
    }
    curl::options(&options, &mut config);
    config.into()
}

/// Reads what curl printed for [`config`].
pub fn page(code: Option<i64>, stdout: &[u8], stderr: &[u8]) -> Result<Page, TransportError> {
    let read = || {
        let end = stdout.iter().rposition(|byte| *byte == b'\n')?;
        let last = String::from_utf8_lossy(&stdout[end + 1..]).into_owned();
        let mut words = last.splitn(3, ' ');
        let status = words.next()?.parse().ok().filter(|status| *status != 0)?;
        let url = words.next()?.to_owned();
        Some(Page {
            status,
            content_type: words.next().unwrap_or_default().to_owned(),
            url,
            body: stdout[..end].to_vec(),
        })
    };
    // A status may have come, and curl was not content with the rest.
    match (code, read()) {
        (Some(0), Some(page)) => Ok(page),
        (Some(63), _) => Err(TransportError::TooLong { limit: MAX_PAGE }),
        (Some(28), _) => Err(TransportError::TimedOut { seconds: PAGE_S }),
        _ => Err(curl::complaint(code, stderr)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// A server with these pages by path; every other one has none. Notes what it was asked.
    async fn serve(
        pages: &'static [(&'static str, &'static str)],
    ) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (asked, questions) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap();
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let path = head.split(' ').nth(1).unwrap().to_owned();
                let _ = asked.send(head);
                let reply = pages
                    .iter()
                    .find(|(at, _)| *at == path)
                    .map_or("404 Not Found\r\n\r\n", |(_, reply)| reply);
                let reply = format!(
                    "HTTP/1.1 {}",
                    reply.replacen("\r\n", "\r\nConnection: close\r\n", 1)
                );
                let _ = stream.write_all(reply.as_bytes()).await;
            }
        });
        (address, questions)
    }

    #[tokio::test]
    async fn redirects_are_followed_for_pages_and_never_with_a_token() {
        let (address, mut noted) = serve(&[
            ("/a", "303 See Other\r\nLocation: /login?x=1\r\n\r\n"),
            (
                "/login?x=1",
                "200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html>",
            ),
            ("/round", "302 Found\r\nLocation: /round\r\n\r\n"),
            (
                "/elsewhere",
                "302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
            ),
            (
                "/nowhere",
                "302 Found\r\nLocation: http://127.0.0.1:1/login\r\n\r\n",
            ),
        ])
        .await;
        let here = FromHere::new().unwrap();
        let page = here.ask(Ask::Page(&format!("{address}/a"))).await.unwrap();
        assert_eq!(
            (page.status, page.url),
            (200, format!("{address}/login?x=1"))
        );
        assert!(page.content_type.starts_with("text/html"));
        let problem = here.ask(Ask::Page(&format!("{address}/round"))).await;
        assert!(matches!(problem, Err(TransportError::Failed(_))));
        let page = here.ask(Ask::Page(&format!("{address}/elsewhere"))).await;
        assert_eq!(page.unwrap().status, 302);
        let page = here
            .ask(Ask::Page(&format!("{address}/nowhere")))
            .await
            .unwrap();
        assert_eq!(
            (page.status, page.url.as_str()),
            (302, "http://127.0.0.1:1/login")
        );

        while noted.try_recv().is_ok() {}
        let token = Secret::from("t.o.k");
        let url = format!("{address}/a");
        let ask = Ask::AsUser {
            url: &url,
            token: &token,
            body: "{}",
        };
        assert_eq!(here.ask(ask).await.unwrap().status, 303);
        let head = noted.recv().await.unwrap().to_ascii_lowercase();
        assert!(
            head.starts_with("post /a ") && head.contains("\r\nauthorization: bearer t.o.k\r\n")
        );
        assert!(noted.try_recv().is_err(), "the redirect was followed");
    }

    #[tokio::test]
    async fn a_page_without_end_is_not_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
        });
        let problem = FromHere::new().unwrap().ask(Ask::Page(&url)).await;
        assert_eq!(problem, Err(TransportError::TooLong { limit: MAX_PAGE }));
    }

    #[test]
    fn the_token_is_in_the_configuration_alone() {
        let token = Secret::from("t.o.k");
        let config = config(Ask::AsUser {
            url: "http://[::1]:3210/x",
            token: &token,
            body: "{\"a\":1}",
        });
        let config = config.expose();
        assert!(
            config.contains("\nurl = \"http://[::1]:3210/x\"\n"),
            "{config}"
        );
        assert!(
            config.contains("header = \"Authorization: Bearer t.o.k\"\n"),
            "{config}"
        );
        assert!(config.contains(r#"json = "{\"a\":1}""#) && !config.contains("location"));
        let page = super::config(Ask::Page("http://a"));
        assert!(page.expose().contains("\nlocation\n"));
    }

    #[test]
    fn the_last_line_tells_status_place_and_type() {
        let read = page(
            Some(0),
            b"{\n}\n200 http://a/b application/json; charset=utf-8",
            b"",
        )
        .unwrap();
        assert_eq!(
            read,
            Page {
                status: 200,
                content_type: "application/json; charset=utf-8".to_owned(),
                url: "http://a/b".to_owned(),
                body: b"{\n}".to_vec(),
            }
        );
        assert_eq!(
            page(Some(0), b"\n404 http://a/b ", b"")
                .unwrap()
                .content_type,
            ""
        );
        let refused = page(Some(7), b"\n000 http://a/ ", b"curl: (7) Failed to connect");
        assert!(matches!(refused, Err(TransportError::Unreachable(_))));
        let long = page(
            Some(63),
            b"\n200 http://a/ ",
            b"curl: (63) Maximum file size exceeded",
        );
        assert_eq!(long, Err(TransportError::TooLong { limit: MAX_PAGE }));
    }
}
