//! How a deployment is reached, as an attribute.

use std::collections::BTreeSet;

use super::model::{NetworkModel, PublishModel, UrlsModel};
use crate::{
    convex::{ApiOrigin, DashboardOrigin, OriginConflict, Origins, SiteOrigin},
    plugin::{
        Config, Diagnostic, Diagnostics, Known,
        schema::{
            Attr, Element, Fields, Group, Optional, invalid, list_of, map_of, number, object,
            string,
        },
        value::{Path, Value},
    },
    runtime::{
        Attachment, BACKEND_PORT, DASHBOARD_PORT, HostAddress, HostName, Names, Publish, Role,
        SITE_PORT,
    },
};

/// The port that stands for any that is free.
pub const AUTOMATIC: u16 = 0;

/// The ports among which automatic ones are chosen: below those that Linux
/// gives to outgoing connections, and far from those of well-known services.
const CHOICE: std::ops::Range<u16> = 20_000..32_000;

/// A setting of the network that cannot be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// One of its own.
    Own {
        /// Other ones it is in as well. Their order means nothing.
        further: BTreeSet<String>,
        /// What is published, each port resolved as far as it is.
        publish: PublishModel,
    },
    /// That of another container, by its ID or name.
    Of(Container),
}

/// A container whose network is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Container {
    /// This one.
    Given(String),
    /// There is none for now, so the deployment is stopped.
    Absent,
    /// One that is made in this run.
    ToBeMade,
}

impl NetworkModel {
    /// The schema.
    pub fn attribute() -> Attr<Optional, Group> {
        let port = |description| number(description).optional().within(0..=65535);
        object(
            Fields::new()
                .with(
                    "container",
                    string("ID or name of a container whose network is shared, such as `one(docker_container.workspace[*].id)`: the deployment is then at ports 3210, 3211 and 6791 of that container's own localhost. Followed in place when that container is replaced or restarted. Null means that there is none for now, and the deployment is stopped.")
                        .optional()
                        .parsed_with(object_name),
                )
                .with(
                    "networks",
                    list_of(Element::String, "Names of further Docker networks that the containers are in, beside their own. There the backend is found by the name of its container.")
                        .optional()
                        .parsed_with(object_name),
                )
                .with(
                    "extra_hosts",
                    map_of(Element::String, "Further host names that the backend can resolve, each with its IP address, such as `{ \"host.docker.internal\" = \"host-gateway\" }`. In place of `host-gateway`, Docker puts the address of the Docker host. Without them, a backend on Linux does not know `host.docker.internal`. Not with `container`: give the names to that container. A change recreates the backend.")
                        .optional()
                        .keys_parsed::<HostName>()
                        .check(check_addresses),
                )
                .with(
                    "publish",
                    object(
                        Fields::new()
                            .with("api", port("Port that leads to the API."))
                            .with("site", port("Port that leads to the HTTP actions."))
                            .with("dashboard", port("Port that leads to the dashboard.")),
                        "Ports of the Docker host, on 127.0.0.1 alone, that lead to the deployment. `0` stands for a free port, which is chosen by the first apply and then stays the same; see `ports`. Origins that are not given follow these ports.",
                    )
                    .optional(),
                ),
            "How the deployment is reached: give `container`, or any of the others for a network of its own. Without the attribute it has a network of its own that others can join.",
        )
        .optional()
    }
}

/// Takes what can name an object of Docker. Docker itself says what else it refuses.
fn object_name(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("The name is empty. Give a name, or null where there is none.");
    }
    // A label lists the networks of a container with commas between.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',') {
        return Err(
            "The name contains a blank, a comma or a control character. Give the name that docker shows.",
        );
    }
    Ok(())
}

/// Each host has an address.
fn check_addresses(value: &Value, path: &Path, found: &mut Diagnostics) {
    for (name, address) in value.as_map().into_iter().flatten() {
        if let Some(Err(problem)) = address.as_str().map(str::parse::<HostAddress>) {
            found.push(invalid(&path.key(name), problem));
        }
    }
}

/// Checks that each service has an address of its own.
fn check_origins(config: Config<'_>, found: &mut Diagnostics) {
    let given = |part: &str| {
        let path = format!("origins.{part}");
        config
            .get::<Option<String>>(path.as_str())
            .known()
            .flatten()
    };
    let [api, site, dashboard] = ["api", "site", "dashboard"].map(given);
    let conflict = OriginConflict::among(
        api.and_then(|it| ApiOrigin::parse(&it).ok()).as_ref(),
        site.and_then(|it| SiteOrigin::parse(&it).ok()).as_ref(),
        dashboard
            .and_then(|it| DashboardOrigin::parse(&it).ok())
            .as_ref(),
    );
    if let Some(conflict) = conflict {
        found.push(invalid(
            &Path::of("origins").attribute(conflict.part()),
            conflict,
        ));
    }
}

/// Checks what a configuration says of the network.
pub fn check(config: Config<'_>) -> Diagnostics {
    let mut found = Diagnostics::default();
    check_origins(config, &mut found);
    let path = "network.publish.dashboard";
    let has_none = config.get::<Option<bool>>("dashboard.enabled") == Known::Known(Some(false));
    if has_none && config.given(path) == Known::YES {
        found.push(
            Diagnostic::error(
                "No dashboard to publish",
                format!("{path} is given, and dashboard.enabled is false, so no program would answer at that port. Remove one of the two."),
            )
            .at(path),
        );
    }
    if config.given("network.container") == Known::YES {
        for other in ["network.networks", "network.publish"] {
            if config.given(other) == Known::YES {
                found.push(
                    Diagnostic::error(
                        "One way to be reached",
                        format!("A deployment that shares the network of a container has none of its own, so {other} has no effect. Remove it, or remove network.container."),
                    )
                    .at(other),
                );
            }
        }
    }
    if config.given("network.container") == Known::YES
        && config.given("network.extra_hosts") == Known::YES
    {
        found.push(
            Diagnostic::error(
                "Extra hosts in a shared network",
                "A deployment that shares the network of a container knows the host names of that container, and Docker takes no others. Remove network.extra_hosts, and give the names to the container, with a host block of its docker_container.",
            )
            .at("network.extra_hosts"),
        );
    }
    let fixed = |part: &str| {
        let path = format!("network.publish.{part}");
        let port = config.get::<Option<u16>>(path.as_str()).known().flatten();
        port.filter(|port| *port != AUTOMATIC)
            .map(|port| (path, port))
    };
    let mut seen = BTreeSet::new();
    for (path, port) in ["api", "site", "dashboard"].into_iter().filter_map(fixed) {
        if !seen.insert(port) {
            found.push(
                Diagnostic::error(
                    format!("Invalid value for {path}"),
                    format!("Port {port} leads to another part of the deployment already. Give each its own."),
                )
                .at(path.as_str()),
            );
        }
    }
    found
}

impl Network {
    /// Reads the attribute. Automatic ports are those of the state.
    pub fn of(network: Option<&NetworkModel>, ports: Option<PublishModel>) -> Self {
        let Some(network) = network else {
            return Self::Own {
                further: BTreeSet::new(),
                publish: PublishModel::default(),
            };
        };
        match network {
            NetworkModel {
                container: Some(container),
                ..
            } => Self::Of(Container::Given(container.clone())),
            NetworkModel {
                networks: None,
                extra_hosts: None,
                publish: None,
                ..
            } => Self::Of(Container::Absent),
            NetworkModel {
                networks, publish, ..
            } => Self::Own {
                further: networks.iter().flatten().cloned().collect(),
                publish: publish.unwrap_or_default().resolved(ports),
            },
        }
    }

    /// Whether there is a network to be in.
    pub fn is_there(&self) -> bool {
        !matches!(self, Self::Of(Container::Absent))
    }

    /// What is published.
    pub fn publish(&self) -> PublishModel {
        match self {
            Self::Own { publish, .. } => *publish,
            Self::Of(_) => PublishModel::default(),
        }
    }

    /// The origins of browsers on the Docker host: at the published ports, else
    /// at those of the containers.
    pub fn local_origins(&self) -> Origins {
        let publish = self.publish();
        let port = |published: Option<u16>, own: u16| {
            published.filter(|port| *port != AUTOMATIC).unwrap_or(own)
        };
        Origins {
            api: ApiOrigin::local(port(publish.api, BACKEND_PORT)),
            site: SiteOrigin::local(port(publish.site, SITE_PORT)),
            dashboard: DashboardOrigin::local(port(publish.dashboard, DASHBOARD_PORT)),
        }
    }

    /// For Docker. A container that is shared with goes by what was asked for
    /// until its ID is known.
    pub fn attachment(&self) -> Attachment {
        match self {
            Self::Own { further, publish } => {
                let port = |port: Option<u16>| port.filter(|port| *port != AUTOMATIC);
                Attachment::Own {
                    further: further.iter().cloned().collect(),
                    publish: Publish {
                        api: port(publish.api),
                        site: port(publish.site),
                        dashboard: port(publish.dashboard),
                    },
                }
            }
            Self::Of(container) => Attachment::Shared {
                container: match container {
                    Container::Given(container) => container.clone(),
                    Container::Absent | Container::ToBeMade => String::new(),
                },
                started: String::new(),
            },
        }
    }

    /// Where the deployment is reached from beside its containers; `None` while
    /// an automatic port is not chosen yet.
    pub fn urls(&self, names: &Names, with_dashboard: bool) -> Option<UrlsModel> {
        let dashboard_host = names.container(Role::Dashboard);
        let publish = self.publish();
        if publish.is_open() {
            return None;
        }
        let url = |published: Option<u16>, host: &str, port: u16| match (self, published) {
            (Self::Of(_), _) => format!("http://localhost:{port}"),
            (_, Some(port)) => format!("http://127.0.0.1:{port}"),
            (_, None) => format!("http://{host}:{port}"),
        };
        let host = names.backend_host();
        Some(UrlsModel {
            api: Some(url(publish.api, host, BACKEND_PORT)),
            site: Some(url(publish.site, host, SITE_PORT)),
            dashboard: with_dashboard
                .then(|| url(publish.dashboard, &dashboard_host, DASHBOARD_PORT)),
        })
    }
}

impl PublishModel {
    /// The three ports.
    fn parts(&mut self) -> [&mut Option<u16>; 3] {
        [&mut self.api, &mut self.site, &mut self.dashboard]
    }

    /// With automatic ports replaced by those of the state.
    pub fn resolved(mut self, ports: Option<Self>) -> Self {
        let mut known = ports.unwrap_or_default();
        for (port, known) in self.parts().into_iter().zip(known.parts()) {
            if *port == Some(AUTOMATIC) && known.is_some() {
                *port = *known;
            }
        }
        self
    }

    /// Whether a port is among them.
    pub fn has(mut self, port: u16) -> bool {
        self.parts().into_iter().any(|it| *it == Some(port))
    }

    /// Whether an automatic port is not chosen yet.
    pub fn is_open(mut self) -> bool {
        self.parts()
            .into_iter()
            .any(|port| *port == Some(AUTOMATIC))
    }

    /// With each automatic port chosen: the same each time for a deployment,
    /// unless that is among those `taken`.
    pub fn chosen(mut self, deployment: &str, taken: &BTreeSet<u16>) -> Self {
        let width = usize::from(CHOICE.end - CHOICE.start);
        // FNV-1a: stable across versions, and nothing depends on its strength.
        let hash = deployment
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let start = usize::try_from(hash % width as u64).unwrap_or_default();
        let mut own: BTreeSet<u16> = self.parts().into_iter().filter_map(|port| *port).collect();
        for port in self.parts() {
            if *port != Some(AUTOMATIC) {
                continue;
            }
            let free = (0..width)
                .filter_map(|step| u16::try_from((start + step) % width).ok())
                .map(|offset| CHOICE.start + offset)
                .find(|port| !taken.contains(port) && !own.contains(port));
            own.extend(free);
            *port = free;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Container, Network, NetworkModel, PublishModel};
    use crate::{convex::DeploymentName, runtime::Names};

    fn publish(api: u16, site: u16) -> PublishModel {
        PublishModel {
            api: Some(api),
            site: Some(site),
            dashboard: None,
        }
    }

    #[test]
    fn automatic_ports_are_stable_distinct_and_free() {
        let none = BTreeSet::new();
        let first = publish(0, 0).chosen("app", &none);
        assert_eq!(first, publish(0, 0).chosen("app", &none));
        let (api, site) = (first.api.unwrap(), first.site.unwrap());
        assert_ne!(api, site);
        assert_eq!(first.dashboard, None);
        let other = publish(0, 0).chosen("app", &[api].into());
        assert_ne!(other.api, Some(api));
        assert_eq!(publish(3210, 0).chosen("app", &none).api, Some(3210));
        assert!(publish(0, 1).is_open() && !first.is_open());
    }

    #[test]
    fn another_order_of_networks_is_no_change() {
        let attachment = |names: &[&str]| {
            let model = NetworkModel {
                container: None,
                networks: Some(names.iter().map(|&it| it.to_owned()).collect()),
                extra_hosts: None,
                publish: None,
            };
            Network::of(Some(&model), None).attachment()
        };
        assert_eq!(attachment(&["b", "a"]), attachment(&["a", "b", "a"]));
        assert_ne!(attachment(&["a"]), attachment(&["a", "b"]));
    }

    #[test]
    fn an_object_has_a_name() {
        for good in ["proxy", "app_default", "0f3c", "a.b-c"] {
            assert!(super::object_name(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "a,b", "a\n"] {
            assert!(super::object_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_network_that_is_given_and_empty_is_a_container_that_is_not_there() {
        let model = |container: Option<&str>| NetworkModel {
            container: container.map(str::to_owned),
            networks: None,
            extra_hosts: None,
            publish: None,
        };
        let absent = Network::of(Some(&model(None)), None);
        assert_eq!(absent, Network::Of(Container::Absent));
        assert!(!absent.is_there() && Network::of(None, None).is_there());
        let hosts = NetworkModel {
            extra_hosts: Some([("db".to_owned(), "10.0.0.5".to_owned())].into()),
            ..model(None)
        };
        assert!(Network::of(Some(&hosts), None).is_there());
        let names = Names::of(&DeploymentName::parse("app").unwrap());
        let joined = Network::of(Some(&model(Some("ws"))), None);
        let urls = joined.urls(&names, false).unwrap();
        assert_eq!(urls.api.as_deref(), Some("http://localhost:3210"));
        assert_eq!(urls.dashboard, None);
    }
}
