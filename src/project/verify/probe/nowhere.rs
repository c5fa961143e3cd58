//! Why nothing answers at an address, seen from this machine.

use std::{io, path::Path, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::is_loopback;

/// How long a name may take to resolve, and a connection to be made.
const PATIENCE: Duration = Duration::from_secs(3);

/// What container runtimes put into each container.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// An address that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nowhere {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Why it leads nowhere.
    pub why: Why,
}

/// Why an address leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The name of the host does not resolve.
    Unknown,
    /// Nothing listens on this port of this machine.
    Here,
    /// Nothing listens on this port of the container that this program runs in.
    InContainer,
    /// Another machine refuses connections to the port.
    Elsewhere,
}

impl Nowhere {
    /// What was found.
    pub(in super::super) fn detail(&self) -> String {
        let Self { host, port, why } = self;
        match why {
            Why::Unknown => format!("the host name {host:?} does not resolve here"),
            Why::Here => format!("nothing listens on port {port} of this machine"),
            Why::InContainer => format!(
                "nothing listens on port {port} of {host}, which is the container that this runs in"
            ),
            Why::Elsewhere => format!("{host} refuses connections to port {port}"),
        }
    }

    /// What to do.
    pub(in super::super) fn remedy(&self) -> String {
        let Self { host, port, why } = self;
        match why {
            Why::Unknown => format!(
                "If {host:?} is the name of a container, only containers in one of its Docker networks resolve it: run this in one of them, or use the published port."
            ),
            Why::Here => format!(
                "Start the backend. If it runs on another port, docker ps shows which: use that instead of {port}."
            ),
            Why::InContainer => "If the backend runs in another container, localhost does not lead there: share the network of this container (network.container of convex_deployment), or use the name of the backend's container in a network that both are in.".to_owned(),
            Why::Elsewhere => format!(
                "Check that the backend runs on {host}, and that port {port} is published there for other machines."
            ),
        }
    }
}

/// Why an address leads nowhere; `None` where it does not, or where that cannot be told.
pub(super) async fn look(url: &str) -> Option<Nowhere> {
    look_from(url, MARKS.iter().any(|mark| Path::new(mark).exists())).await
}

async fn look_from(url: &str, in_container: bool) -> Option<Nowhere> {
    let parsed = url::Url::parse(url).ok()?;
    let (host, port) = (parsed.host_str()?, parsed.port_or_known_default()?);
    let nowhere = |why| {
        let host = host.to_owned();
        Some(Nowhere { host, port, why })
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<_> = match timeout(PATIENCE, lookup_host((bare, port))).await.ok()? {
        Ok(addresses) => addresses.collect(),
        Err(_) => return nowhere(Why::Unknown),
    };
    match timeout(PATIENCE, TcpStream::connect(&addresses[..]))
        .await
        .ok()?
    {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            nowhere(match (is_loopback(url), in_container) {
                (true, true) => Why::InContainer,
                (true, false) => Why::Here,
                (false, _) => Why::Elsewhere,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_without_an_address_and_ports_without_a_listener_are_told_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("http://localhost:{port}");
        let why = async |url: &str, in_container| {
            look_from(url, in_container)
                .await
                .map(|it| (it.port, it.why))
        };
        assert_eq!(why(&url, false).await, None);
        drop(listener);
        assert_eq!(why(&url, false).await, Some((port, Why::Here)));
        assert_eq!(why(&url, true).await, Some((port, Why::InContainer)));
        // No resolver asks anybody for a label of this length.
        let host = "x".repeat(64);
        let unknown = why(&format!("https://{host}.invalid"), true).await;
        assert_eq!(unknown, Some((443, Why::Unknown)));
    }
}
