//! What has to be found out, and made, outside the deployment's own objects
//! before its containers are.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    model::PublishModel,
    network::{Container, Network},
    predecessor,
    work::Work,
};
use crate::{
    backend::log::says_port_is_taken,
    convex::{
        Database,
        postgres::{HostPort, is_loopback},
    },
    database::{Contents, DatabaseError, Dial, Found, Holder, Limits, Part, Server, of_connecting},
    plugin::{Cx, Diagnostic, value::Path},
    runtime::{
        Attachment, BACKEND_PORT, DASHBOARD_PORT, Desired, NetworkSpec, Observed,
        ObservedContainer, Role, SITE_PORT,
        docker::{Docker, DockerError, Patience, TunnelError},
        steps,
    },
    session::Session,
};

/// How long a database server that is made in the same run may take to listen.
const SERVER_START: Duration = Duration::from_secs(20);

/// How many automatic ports are tried.
const PORT_TRIES: usize = 8;

impl Work {
    /// What there should be, with everything found out that the settings leave
    /// open, and everything refused that would end in a conflict.
    pub async fn desired(&mut self, observed: &Observed) -> Result<Desired, Diagnostic> {
        self.choose_ports(observed).await?;
        let mut desired = self.settings.desired();
        self.settle_network(&mut desired).await?;
        self.check_networks(&desired, observed).await?;
        steps(&desired, observed).map_err(|conflict| self.conflict(conflict))?;
        self.check_ports(&desired, observed).await?;
        Ok(desired)
    }

    /// Finds the container whose network is shared.
    async fn settle_network(&self, desired: &mut Desired) -> Result<(), Diagnostic> {
        let Network::Of(Container::Given(given)) = &self.settings.network else {
            return Ok(());
        };
        if !desired.running {
            return Ok(());
        }
        let found = self.docker.any_container(&self.patience, given).await;
        let away = |what: &str| {
            Diagnostic::error(
                "No network to share",
                format!(
                    "The container {given:?}, whose network {} is to share, {what}. Start it first: refer to the resource that makes it, as in one(docker_container.workspace[*].id), and Terraform knows the order. While it is away on purpose, give null, and the deployment is stopped.",
                    self.object
                ),
            )
            .at("network.container")
        };
        let host = found
            .map_err(|error| self.failed(error))?
            .ok_or_else(|| away("does not exist"))?;
        if !host.is_running() {
            return Err(away("does not run"));
        }
        desired.attachment = host.shares_its_network();
        Ok(())
    }

    /// Refuses, before anything is done, a network that does not exist.
    async fn check_networks(
        &self,
        desired: &Desired,
        observed: &Observed,
    ) -> Result<(), Diagnostic> {
        let Attachment::Own { further, .. } = &desired.attachment else {
            return Ok(());
        };
        let backend = observed.backend.as_ref();
        let joined = |name: &String| backend.is_some_and(|it| it.networks.contains(name));
        let new = further.iter().filter(|it| desired.running && !joined(it));
        for name in new {
            let found = self.docker.has_network(&self.patience, name).await;
            if !found.map_err(|error| self.failed(error))? {
                let network = name.clone();
                return Err(self.failed(DockerError::NoNetwork { network }));
            }
        }
        Ok(())
    }

    /// Names the port, where a program ended because another one in the network
    /// that it shares has it.
    pub async fn not_done(&self, error: DockerError, desired: &Desired) -> Diagnostic {
        let taken = match (&error, &desired.attachment) {
            (DockerError::Exited { role, log, .. }, Attachment::Shared { container, .. })
                if says_port_is_taken(log) =>
            {
                // What cannot be found out leaves the program's own words.
                self.taken_port(*role, container).await.ok().flatten()
            }
            _ => None,
        };
        taken.unwrap_or_else(|| self.failed(error))
    }

    async fn taken_port(
        &self,
        role: Role,
        container: &str,
    ) -> Result<Option<Diagnostic>, DockerError> {
        let ports: &[u16] = match role {
            Role::Dashboard => &[DASHBOARD_PORT],
            Role::Backend | Role::Probe => &[BACKEND_PORT, SITE_PORT],
        };
        let (docker, patience, names) = (&self.docker, &self.patience, self.settings.names());
        let network = NetworkSpec::Of {
            container: container.to_owned(),
        };
        let lender = docker
            .start_lender(
                patience,
                &names,
                &self.settings.backend_image,
                (network, &BTreeMap::new()),
            )
            .await?;
        let mut taken = None;
        for port in ports {
            if docker
                .tunnel(patience, lender.own.id(), "127.0.0.1", *port)
                .await
                .is_ok()
            {
                taken = Some(port);
                break;
            }
        }
        docker.remove(patience, &lender.own).await?;
        let Some(port) = taken else {
            return Ok(None);
        };
        let mut others = docker.sharers(patience, container).await?;
        let ours = [Role::Backend, Role::Dashboard].map(|role| names.container(role));
        others.retain(|name| !ours.contains(name));
        let given = match &self.settings.network {
            Network::Of(Container::Given(given)) => given,
            _ => container,
        };
        let beside = match others.as_slice() {
            [] => String::new(),
            some => format!(", or in one that shares its network ({})", some.join(", ")),
        };
        let diagnostic = Diagnostic::error(
            format!("Port {port} is taken in the shared network"),
            format!(
                "The {role} of {} listens on port {port}, and another program in its network already does. That program runs in the container {given}{beside}. End it, or give the deployment a network of its own by leaving out network.container, and apply again. The data is kept.",
                self.object
            ),
        );
        Ok(Some(diagnostic.at("network.container")))
    }

    /// Chooses automatic ports: those that the containers have, else ones that
    /// no other container has.
    async fn choose_ports(&mut self, observed: &Observed) -> Result<(), Diagnostic> {
        let Network::Own { publish, further } = &self.settings.network else {
            return Ok(());
        };
        if !publish.is_open() {
            return Ok(());
        }
        let refused = &self.refused_ports;
        let of = |container: &Option<ObservedContainer>, port| {
            let port = container
                .as_ref()
                .and_then(|it| it.ports.get(&port).copied());
            port.filter(|port| !refused.contains(port))
        };
        let had = PublishModel {
            api: of(&observed.backend, BACKEND_PORT),
            site: of(&observed.backend, SITE_PORT),
            dashboard: of(&observed.dashboard, DASHBOARD_PORT),
        };
        let holders = self.docker.port_holders(&self.patience).await;
        let holders = holders.map_err(|error| self.failed(error))?;
        let taken = holders.into_keys().chain(refused.iter().copied()).collect();
        let name = self.settings.name.as_str();
        let publish = publish.resolved(Some(had)).chosen(name, &taken);
        let further = further.clone();
        self.settings.network = Network::Own { further, publish };
        self.chose_ports = true;
        Ok(())
    }

    /// Chooses other ports after one turned out to be taken by something that
    /// Docker does not know of. `None` where it was not chosen here.
    pub async fn choose_others(
        &mut self,
        port: u16,
        desired: &Desired,
    ) -> Result<Option<(Desired, Observed)>, Diagnostic> {
        let open = &self.open_network;
        let chosen = self.chose_ports && !open.publish().has(port);
        if !chosen || self.refused_ports.len() >= PORT_TRIES || !self.refused_ports.insert(port) {
            return Ok(None);
        }
        tracing::info!(port, "the port is taken, trying another one");
        self.settings.network = open.clone();
        let observed = self.observe(&[]).await?;
        let renewed = self.desired(&observed).await?;
        // Origins, and so environments, may follow the ports.
        let desired = Desired {
            renew: desired.renew,
            ..renewed
        };
        Ok(Some((desired, observed)))
    }

    /// Refuses, before anything is done, a port that another container has.
    /// Programs outside Docker show only when the port is taken.
    async fn check_ports(&self, desired: &Desired, observed: &Observed) -> Result<(), Diagnostic> {
        let Attachment::Own { publish, .. } = &desired.attachment else {
            return Ok(());
        };
        if !desired.running {
            return Ok(());
        }
        let ours = |port| {
            [&observed.backend, &observed.dashboard]
                .into_iter()
                .flatten()
                .any(|container| container.ports.values().any(|it| *it == port))
        };
        let mut wanted = vec![
            ("api", publish.api),
            ("site", publish.site),
            ("dashboard", publish.dashboard),
        ];
        wanted.retain(|(_, port)| port.is_some_and(|port| !ours(port)));
        if wanted.is_empty() {
            return Ok(());
        }
        let holders = self.docker.port_holders(&self.patience).await;
        let mut holders = holders.unwrap_or_default();
        for (key, port) in wanted {
            let held = port.and_then(|port| Some((port, holders.remove(&port)?)));
            if let Some((port, holder)) = held {
                let error = DockerError::PortTaken {
                    port,
                    holder: Some(holder),
                };
                return Err(self
                    .failed(error)
                    .at(format!("network.publish.{key}").as_str()));
            }
        }
        Ok(())
    }

    /// Looks at the database server as the backend will see it, and creates the
    /// database if that is allowed. The deployment's network must be there.
    pub async fn prepare_database(
        &self,
        cx: &mut Cx<Session>,
        desired: &Desired,
        observed: &Observed,
    ) -> Result<(), Diagnostic> {
        let Some(database) = self.settings.database() else {
            return Ok(());
        };
        let network = match &desired.attachment {
            Attachment::Own { further, .. } => NetworkSpec::In {
                own: self.settings.names().network(),
                aliases: Vec::new(),
                further: further.clone(),
                ports: BTreeMap::new(),
            },
            Attachment::Shared { container, .. } => NetworkSpec::Of {
                container: container.clone(),
            },
        };
        let image = &self.settings.backend_image;
        let lender = self
            .docker
            .start_lender(
                &self.patience,
                &self.settings.names(),
                image,
                (network, &desired.hosts),
            )
            .await
            .map_err(|error| self.failed(error))?;
        let outcome = self.ask_server(cx, database, lender.own.id()).await;
        let removed = self.docker.remove(&self.patience, &lender.own).await;
        let found = outcome?;
        removed.map_err(|error| self.failed(error))?;
        let Some(found) = found else { return Ok(()) };
        let own_runs = observed
            .backend
            .as_ref()
            .is_some_and(ObservedContainer::is_running);
        let holder = found.contents.as_ref().and_then(Contents::holder);
        let stranger =
            |holder: &Holder| !own_runs && !predecessor::is_it(&cx.private, holder.since);
        if let Some(holder) = holder.filter(stranger) {
            return Err(Diagnostic::error(
                "Another backend is using the database",
                format!(
                    "The database {:?} at {} is in use by {holder}. Two backends on one database end each other, again and again. Stop the other one, or give this deployment another instance_name, which means another database.",
                    self.settings.instance_name.database_name(),
                    found.server
                ),
            )
            .at("database"));
        }
        if let Some(allowed) = found
            .connections
            .filter(|it| *it < database.max_connections())
        {
            cx.warn(
                Diagnostic::warning(
                    "The database lets in fewer connections than the backend opens",
                    format!(
                        "The backend opens up to {} connections, and {} lets this user have {allowed}. Set database.max_connections to fewer, leaving some for others.",
                        database.max_connections(),
                        found.server
                    ),
                )
                .at("database.max_connections"),
            );
        }
        Ok(())
    }

    async fn ask_server(
        &self,
        cx: &Cx<Session>,
        database: &Database,
        lender: &str,
    ) -> Result<Option<Found>, Diagnostic> {
        let tunnel = Tunnel {
            docker: Arc::clone(&self.docker),
            patience: self.patience.clone(),
            container: lender.to_owned(),
        };
        let hidden = self.settings.hidden_url;
        let failed = |error: DatabaseError| self.database_error(&error, hidden);
        let Some(server) = Server::new(database, tunnel).map_err(failed)? else {
            return Ok(None);
        };
        let limits =
            Limits::new(self.patience.left(), cx.cancellation()).waiting_for_server(SERVER_START);
        let found = server.prepare(&self.settings.instance_name, &limits).await;
        found.map(Some).map_err(failed)
    }

    fn database_error(&self, error: &DatabaseError, hidden: bool) -> Diagnostic {
        let database = Path::of("database");
        let url = database.attribute(if hidden { "url_wo" } else { "url" });
        let (summary, path) = match error.part() {
            Part::Host => ("The database server cannot be reached: check the host", url),
            Part::Port => ("No database server at this port", url),
            Part::User => ("The database server refuses the user", url),
            Part::Password => ("The database server refuses the password", url),
            Part::Tls => (
                "No secure connection to the database server",
                database.attribute("ssl_mode"),
            ),
            Part::Database => ("The database cannot be used", database),
            Part::Connection => ("The database server was not asked to the end", database),
            Part::Server => ("The database server cannot be used", database),
        };
        let mut detail = format!("{}: {error}. {}", capital(&self.object), error.remedy());
        if let Some(host) = self.loopback_host().filter(|_| error.part() == Part::Port) {
            detail.push_str(&format!(
                " {host} is the backend's own container here: name the server as other containers see it."
            ));
        }
        Diagnostic::error(summary, detail).at(path)
    }

    /// A host in the URL that means the container itself, where that is not
    /// what is shared.
    fn loopback_host(&self) -> Option<String> {
        if matches!(self.settings.network, Network::Of(_)) {
            return None;
        }
        let postgres = self.settings.database()?.postgres()?;
        let mut hosts = postgres.hosts().iter().map(HostPort::host);
        hosts.find(|host| is_loopback(host)).map(str::to_owned)
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// A way through a container of the same network.
struct Tunnel {
    docker: Arc<Docker>,
    patience: Patience,
    container: String,
}

impl Dial for Tunnel {
    type Stream = tokio::io::DuplexStream;

    async fn dial(&self, server: &HostPort) -> Result<Self::Stream, DatabaseError> {
        let stream = self
            .docker
            .tunnel(
                &self.patience,
                &self.container,
                server.host(),
                server.port(),
            )
            .await;
        stream.map_err(|error| match error {
            TunnelError::UnknownHost(reason) => DatabaseError::UnknownHost {
                server: server.clone(),
                reason: reason.into(),
            },
            TunnelError::Failed(kind, reason) => {
                of_connecting(server, &std::io::Error::new(kind, reason))
            }
            TunnelError::Docker(reason) => DatabaseError::Unreachable {
                server: server.clone(),
                reason: format!("Docker: {reason}").into(),
            },
        })
    }
}
