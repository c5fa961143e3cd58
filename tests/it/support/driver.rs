//! What Terraform's core does with the provider, without Terraform: it reads,
//! plans and applies by the protocol alone, each half with a process of its
//! own, which takes a tenth of the time.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::{Value as Json, json};
use terraform_provider_convex::plugin::{
    proto::{self, DynamicValue, provider_client::ProviderClient},
    value::{Type, Value},
    wire::{json, msgpack},
};
use tonic::transport::Channel;

use super::{binaries, plugin::Plugin};

/// A block of a configuration, which may depend on those before it.
#[derive(Clone, Debug)]
pub struct Block {
    pub kind: &'static str,
    pub name: &'static str,
    pub arguments: Json,
}

impl Block {
    /// `resource "kind" "name" { arguments }`.
    pub fn new(kind: &'static str, name: &'static str, arguments: Json) -> Self {
        Self {
            kind,
            name,
            arguments,
        }
    }

    fn address(&self) -> String {
        format!("{}.{}", self.kind, self.name)
    }
}

/// What is to be done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Nothing,
    Create,
    Update,
    Replace,
    Delete,
}

#[derive(Clone, Debug)]
struct Kept {
    kind: &'static str,
    value: Value,
    private: Vec<u8>,
    tainted: bool,
}

#[derive(Clone, Debug)]
struct Change {
    address: String,
    kind: &'static str,
    action: Action,
    config: Value,
    planned: Value,
    private: Vec<u8>,
}

/// A saved plan.
#[derive(Clone, Debug)]
pub struct Plan(Vec<Change>);

impl Plan {
    /// What it does with each resource.
    pub fn actions(&self) -> Vec<(&str, Action)> {
        let changes = self.0.iter();
        changes.map(|it| (it.address.as_str(), it.action)).collect()
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|it| it.action == Action::Nothing)
    }
}

/// A working directory: a state, and how the provider is started.
pub struct Driver {
    runtime: tokio::runtime::Runtime,
    environment: Vec<(String, String)>,
    state: BTreeMap<String, Kept>,
    /// In the order they were made.
    order: Vec<String>,
    process: Arc<AtomicU32>,
}

impl Driver {
    /// One whose provider finds Docker at `host`.
    pub fn new(host: &str) -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            environment: vec![("DOCKER_HOST".to_owned(), host.to_owned())],
            state: BTreeMap::new(),
            order: Vec::new(),
            process: Arc::default(),
        }
    }

    /// The number of the provider's process, the last one that was started.
    pub fn process(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.process)
    }

    /// A text in the state.
    #[track_caller]
    pub fn text(&self, address: &str, attribute: &str) -> String {
        let kept = self
            .state
            .get(address)
            .unwrap_or_else(|| panic!("{address} is not in the state"));
        let attributes = kept.value.as_map().expect("an object");
        let text = attributes[attribute].as_str();
        text.unwrap_or_else(|| panic!("{address} has no {attribute}"))
            .to_owned()
    }

    /// What is in the state.
    pub fn addresses(&self) -> Vec<&str> {
        self.state.keys().map(String::as_str).collect()
    }

    /// Reads all resources and plans, as `terraform plan` does.
    pub fn try_to_plan(&mut self, blocks: &[Block]) -> Result<Plan, Vec<String>> {
        let mut session = Session::start(self);
        let outcome = self.runtime.block_on(async {
            session.configure().await?;
            for address in &self.order {
                let Some(kept) = self.state.get(address) else {
                    continue;
                };
                match session.read(kept.clone()).await? {
                    Some(kept) => self.state.insert(address.clone(), kept),
                    None => self.state.remove(address),
                };
            }
            self.order
                .retain(|address| self.state.contains_key(address));
            let mut changes = Vec::new();
            let declared: BTreeSet<_> = blocks.iter().map(Block::address).collect();
            for address in self.order.iter().rev() {
                if !declared.contains(address) {
                    let kept = &self.state[address];
                    changes.push(session.plan_delete(address, kept).await?);
                }
            }
            for block in blocks {
                let kept = self.state.get(&block.address());
                changes.push(session.plan(block, kept).await?);
            }
            Ok(Plan(changes))
        });
        self.runtime.block_on(session.end());
        outcome
    }

    /// The same, which must succeed.
    #[track_caller]
    pub fn plan(&mut self, blocks: &[Block]) -> Plan {
        self.try_to_plan(blocks)
            .unwrap_or_else(|errors| panic!("plan: {errors:#?}"))
    }

    /// Does what a plan says, as `terraform apply plan` does. What exists is in
    /// the state also when it fails.
    pub fn try_to_apply(&mut self, plan: Plan) -> Result<(), Vec<String>> {
        let mut session = Session::start(self);
        self.process
            .store(session.plugin.child.id(), Ordering::SeqCst);
        let outcome = self.runtime.block_on(async {
            session.configure().await?;
            for change in plan.0 {
                session
                    .apply(change, &mut self.state, &mut self.order)
                    .await?;
            }
            Ok(())
        });
        self.runtime.block_on(session.end());
        outcome
    }

    /// Plans and applies, which must succeed.
    #[track_caller]
    pub fn apply(&mut self, blocks: &[Block]) -> Plan {
        let plan = self.plan(blocks);
        if let Err(errors) = self.try_to_apply(plan.clone()) {
            panic!("apply: {errors:#?}");
        }
        plan
    }

    /// Demands that a plan changes nothing.
    #[track_caller]
    pub fn assert_no_changes(&mut self, blocks: &[Block]) {
        let plan = self.plan(blocks);
        assert!(plan.is_empty(), "{:?}", plan.actions());
    }
}

/// The provider's schemas, which never change.
struct Schemas {
    resources: BTreeMap<String, Vec<proto::schema::Attribute>>,
    provider: Type,
}

static SCHEMAS: OnceLock<Schemas> = OnceLock::new();

/// A process of the provider.
struct Session {
    plugin: Plugin,
    client: Option<ProviderClient<Channel>>,
}

impl Session {
    fn start(driver: &Driver) -> Self {
        let environment: Vec<_> = driver
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut plugin = Plugin::start(&binaries::provider(), &environment);
        // What it logs must not stop it.
        let stderr = plugin.child.stderr.take();
        std::thread::spawn(move || {
            let mut stderr = stderr.expect("a pipe");
            let _ = stderr.read_to_end(&mut Vec::new());
        });
        Self {
            plugin,
            client: None,
        }
    }

    fn client(&mut self) -> &mut ProviderClient<Channel> {
        self.client.as_mut().expect("configured")
    }

    async fn configure(&mut self) -> Result<(), Vec<String>> {
        self.client = Some(self.plugin.connect().await);
        let client = self.client();
        if SCHEMAS.get().is_none() {
            let request = proto::get_provider_schema::Request {};
            let told = client.get_provider_schema(request).await.map_err(broken)?;
            let told = told.into_inner();
            let attributes = |schema: proto::Schema| schema.block.expect("a block").attributes;
            let resources = told.resource_schemas.into_iter();
            let _ = SCHEMAS.set(Schemas {
                resources: resources
                    .map(|(name, schema)| (name, attributes(schema)))
                    .collect(),
                provider: object_type(&attributes(told.provider.expect("a schema"))),
            });
        }
        let ty = &SCHEMAS.get().expect("set").provider;
        let config = json::decode(b"{}", ty).expect("a configuration");
        let request = proto::configure_provider::Request {
            config: Some(encoded(&config, ty)),
            terraform_version: "1.11.4".to_owned(),
            ..Default::default()
        };
        let reply = client.configure_provider(request).await.map_err(broken)?;
        problems(&reply.into_inner().diagnostics)
    }

    async fn read(&mut self, kept: Kept) -> Result<Option<Kept>, Vec<String>> {
        let ty = object_type(attributes(kept.kind));
        let request = proto::read_resource::Request {
            type_name: kept.kind.to_owned(),
            current_state: Some(encoded(&kept.value, &ty)),
            private: kept.private,
            ..Default::default()
        };
        let reply = self.client().read_resource(request).await.map_err(broken)?;
        let reply = reply.into_inner();
        problems(&reply.diagnostics)?;
        let value = decoded(reply.new_state, &ty);
        Ok((!value.is_null()).then_some(Kept {
            value,
            private: reply.private,
            ..kept
        }))
    }

    async fn plan(&mut self, block: &Block, kept: Option<&Kept>) -> Result<Change, Vec<String>> {
        let ty = object_type(attributes(block.kind));
        let config = json::decode(block.arguments.to_string().as_bytes(), &ty)
            .unwrap_or_else(|error| panic!("{}: {error}", block.address()));
        let request = proto::validate_resource_config::Request {
            type_name: block.kind.to_owned(),
            config: Some(encoded(&config, &ty)),
            ..Default::default()
        };
        let reply = self.client().validate_resource_config(request).await;
        problems(&reply.map_err(broken)?.into_inner().diagnostics)?;
        let null = (&Value::Null, &[][..]);
        let usable = kept.filter(|kept| !kept.tainted);
        let prior = usable.map_or(null, |kept| (&kept.value, &kept.private[..]));
        let mut reply = self.ask_for_plan(block.kind, prior, &config).await?;
        let mut action = match (kept, usable) {
            (None, _) => Action::Create,
            (Some(_), None) => Action::Replace,
            (Some(_), Some(_)) if !reply.requires_replace.is_empty() => Action::Replace,
            _ => Action::Update,
        };
        if action == Action::Replace && usable.is_some() {
            reply = self.ask_for_plan(block.kind, null, &config).await?;
        }
        let planned = decoded(reply.planned_state, &ty);
        if action == Action::Update && planned.same(prior.0, &ty) {
            action = Action::Nothing;
        }
        Ok(Change {
            address: block.address(),
            kind: block.kind,
            action,
            config,
            planned,
            private: reply.planned_private,
        })
    }

    async fn ask_for_plan(
        &mut self,
        kind: &str,
        (prior, private): (&Value, &[u8]),
        config: &Value,
    ) -> Result<proto::plan_resource_change::Response, Vec<String>> {
        let attributes = attributes(kind);
        let ty = object_type(attributes);
        let proposed = match config {
            Value::Null => Value::Null,
            config => proposed(attributes, prior, config),
        };
        let request = proto::plan_resource_change::Request {
            type_name: kind.to_owned(),
            prior_state: Some(encoded(prior, &ty)),
            proposed_new_state: Some(encoded(&proposed, &ty)),
            config: Some(encoded(config, &ty)),
            prior_private: private.to_vec(),
            ..Default::default()
        };
        let reply = self.client().plan_resource_change(request).await;
        let reply = reply.map_err(broken)?.into_inner();
        problems(&reply.diagnostics)?;
        Ok(reply)
    }

    async fn plan_delete(&mut self, address: &str, kept: &Kept) -> Result<Change, Vec<String>> {
        let prior = (&kept.value, &kept.private[..]);
        let reply = self.ask_for_plan(kept.kind, prior, &Value::Null).await?;
        Ok(Change {
            address: address.to_owned(),
            kind: kept.kind,
            action: Action::Delete,
            config: Value::Null,
            planned: Value::Null,
            private: reply.planned_private,
        })
    }

    async fn apply(
        &mut self,
        change: Change,
        state: &mut BTreeMap<String, Kept>,
        order: &mut Vec<String>,
    ) -> Result<(), Vec<String>> {
        if change.action == Action::Nothing {
            return Ok(());
        }
        if change.action == Action::Replace {
            let delete = Change {
                action: Action::Delete,
                config: Value::Null,
                planned: Value::Null,
                private: Vec::new(),
                ..change.clone()
            };
            self.apply_one(delete, state).await?;
        }
        order.retain(|address| *address != change.address || state.contains_key(address));
        if change.action != Action::Delete && !order.contains(&change.address) {
            order.push(change.address.clone());
        }
        self.apply_one(change, state).await
    }

    async fn apply_one(
        &mut self,
        change: Change,
        state: &mut BTreeMap<String, Kept>,
    ) -> Result<(), Vec<String>> {
        let ty = object_type(attributes(change.kind));
        let prior = state.get(&change.address);
        let is_new = prior.is_none();
        let request = proto::apply_resource_change::Request {
            type_name: change.kind.to_owned(),
            prior_state: Some(encoded(prior.map_or(&Value::Null, |kept| &kept.value), &ty)),
            planned_state: Some(encoded(&change.planned, &ty)),
            config: Some(encoded(&change.config, &ty)),
            planned_private: change.private,
            ..Default::default()
        };
        // Without a reply the state stays as it was.
        let reply = self.client().apply_resource_change(request).await;
        let reply = reply.map_err(broken)?.into_inner();
        let outcome = problems(&reply.diagnostics);
        let value = decoded(reply.new_state, &ty);
        if value.is_null() {
            state.remove(&change.address);
        } else {
            assert!(value.is_wholly_known(), "{} has unknowns", change.address);
            let kept = Kept {
                kind: change.kind,
                value,
                private: reply.private,
                tainted: is_new && outcome.is_err(),
            };
            state.insert(change.address, kept);
        }
        outcome
    }

    async fn end(mut self) {
        // One that was killed cannot be connected to any more.
        if self.client.take().is_some()
            && let Ok(channel) = self.plugin.channel(None).await
        {
            let mut grpc = tonic::client::Grpc::new(channel);
            if grpc.ready().await.is_ok() {
                let codec = tonic_prost::ProstCodec::<(), ()>::default();
                let path = "/plugin.GRPCController/Shutdown".parse().expect("a path");
                let _ = grpc.unary(tonic::Request::new(()), path, codec).await;
            }
        }
    }
}

#[allow(clippy::needless_pass_by_value)]
fn broken(status: tonic::Status) -> Vec<String> {
    vec![format!("the plugin did not answer: {}", status.message())]
}

fn problems(diagnostics: &[proto::Diagnostic]) -> Result<(), Vec<String>> {
    let errors: Vec<_> = diagnostics
        .iter()
        .filter(|it| it.severity() == proto::diagnostic::Severity::Error)
        .map(|it| format!("{}: {}", it.summary, it.detail))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

fn attributes(kind: &str) -> &'static [proto::schema::Attribute] {
    &SCHEMAS.get().expect("configured").resources[kind]
}

fn object_type(attributes: &[proto::schema::Attribute]) -> Type {
    let attributes = attributes.iter();
    Type::object(attributes.map(|it| (it.name.clone(), attribute_type(it))))
}

fn attribute_type(attribute: &proto::schema::Attribute) -> Type {
    use proto::schema::object::NestingMode;
    let Some(nested) = &attribute.nested_type else {
        return Type::from_json(&attribute.r#type).expect("a type");
    };
    let object = object_type(&nested.attributes);
    match nested.nesting() {
        NestingMode::List => Type::list(object),
        NestingMode::Set => Type::set(object),
        NestingMode::Map => Type::map(object),
        _ => object,
    }
}

/// The configuration, with what the provider has filled in before (Terraform's
/// `objchange.ProposedNew`).
fn proposed(attributes: &[proto::schema::Attribute], prior: &Value, config: &Value) -> Value {
    let Value::Map(given) = config else {
        return config.clone();
    };
    let of = |attribute: &proto::schema::Attribute| {
        let config = &given[&attribute.name];
        let prior = prior.as_map().and_then(|it| it.get(&attribute.name));
        let prior = prior.unwrap_or(&Value::Null);
        if config.is_null() && attribute.computed {
            return prior.clone();
        }
        match &attribute.nested_type {
            Some(nested) => proposed_nested(nested, prior, config),
            None => config.clone(),
        }
    };
    let attributes = attributes.iter();
    Value::Map(attributes.map(|it| (it.name.clone(), of(it))).collect())
}

fn proposed_nested(nested: &proto::schema::Object, prior: &Value, config: &Value) -> Value {
    use proto::schema::object::NestingMode;
    match (nested.nesting(), config) {
        (NestingMode::Single, config) => proposed(&nested.attributes, prior, config),
        (NestingMode::Map, Value::Map(given)) => {
            let of = |key: &String, config| {
                let prior = prior.as_map().and_then(|it| it.get(key));
                proposed(&nested.attributes, prior.unwrap_or(&Value::Null), config)
            };
            Value::Map(
                given
                    .iter()
                    .map(|(key, it)| (key.clone(), of(key, it)))
                    .collect(),
            )
        }
        _ => config.clone(),
    }
}

fn encoded(value: &Value, ty: &Type) -> DynamicValue {
    DynamicValue {
        msgpack: msgpack::encode(value, ty).expect("a value of the type"),
        json: Vec::new(),
    }
}

fn decoded(value: Option<DynamicValue>, ty: &Type) -> Value {
    let msgpack = value.unwrap_or_default().msgpack;
    msgpack::decode(&msgpack, ty).expect("a value of the type")
}

/// A deployment with what tests always give, and these arguments.
pub fn deployment(name: &super::docker::Name, arguments: Json) -> Block {
    let images = super::docker::images();
    let mut all = json!({
        "name": name.as_str(),
        "backend": { "image": images.backend },
        "dashboard": { "image": images.dashboard },
        "volume": { "on_destroy": "delete" },
    });
    let given = all.as_object_mut().expect("an object");
    if let Json::Object(arguments) = arguments {
        given.extend(arguments);
    }
    Block::new("convex_deployment", "app", all)
}
