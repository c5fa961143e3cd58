//! The protocol's calls, from and to typed members.
//!
//! Every call is answered with diagnostics: a gRPC status would reach a person
//! as "Plugin did not respond". A panic in a member becomes one diagnostic and
//! the state that was noted last.

mod codec;
mod function;
mod lookup;
mod refusal;
mod tasks;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use self::codec::{decode, encode};
pub(crate) use self::tasks::{Tasks, panic_text};
use crate::plugin::{
    diagnostic::{Diagnostic, Diagnostics},
    erased::{AnyReader, Members},
    members::{Cx, Provider, Saved},
    planning::Config,
    private::Private,
    proto::{self, DynamicValue, provider_server},
    schema::Schema,
    value::Path,
};

/// The state of one plugin process.
pub(crate) struct Service<P: Provider> {
    provider: P,
    schema: Schema,
    members: Members<P::Session>,
    /// A debugging process serves many runs, each of which configures anew.
    configured: RwLock<Option<Configured<P::Session>>>,
    tasks: Tasks,
}

struct Configured<S> {
    session: Arc<S>,
    cancel: CancellationToken,
}

type Reply<T> = Result<Response<T>, Status>;

/// Lets a call end in diagnostics with `?`.
type Outcome<T> = Result<T, Diagnostics>;

impl<P: Provider> Service<P> {
    pub(crate) fn new(provider: P, tasks: Tasks) -> Self {
        Self {
            schema: provider.schema(),
            members: provider.members(),
            provider,
            configured: RwLock::new(None),
            tasks,
        }
    }

    /// What a member's operation has at hand.
    fn cx(&self, private: &[u8]) -> Outcome<Cx<P::Session>> {
        let configured = self
            .configured
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let Configured { session, cancel } = configured.as_ref().ok_or_else(|| {
            Diagnostic::error(
                "Provider not configured",
                "Terraform asked for an operation before it configured the provider.",
            )
        })?;
        Ok(Cx::new(
            Arc::clone(session),
            Private::from_bytes(private),
            cancel.clone(),
        ))
    }

    /// What is refused: in a run that only destroys, nothing.
    fn waive(&self, refusals: Diagnostics) -> Diagnostics {
        if self.provider.only_destroys() {
            refusal::waived(refusals)
        } else {
            refusals
        }
    }

    /// Stops what is under way, at the request of Terraform or at the end.
    pub(crate) fn cancel(&self) {
        let configured = self
            .configured
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(configured) = configured.as_ref() {
            configured.cancel.cancel();
        }
    }

    fn capabilities() -> proto::ServerCapabilities {
        proto::ServerCapabilities {
            // A plan to destroy may have something to say about the data.
            plan_destroy: true,
            get_provider_schema_optional: true,
            ..Default::default()
        }
    }

    fn functions(&self) -> std::collections::HashMap<String, proto::Function> {
        self.members
            .functions
            .iter()
            .map(|(name, function)| ((*name).to_owned(), function.signature().to_proto()))
            .collect()
    }
}

/// The private data and the warnings of an operation that has ended.
fn leftovers<S>(cx: Cx<S>) -> (Vec<u8>, Diagnostics) {
    (cx.private.to_bytes(), cx.warnings)
}

#[tonic::async_trait]
impl<P: Provider> provider_server::Provider for Arc<Service<P>> {
    async fn get_metadata(
        &self,
        _: Request<proto::get_metadata::Request>,
    ) -> Reply<proto::get_metadata::Response> {
        use proto::get_metadata as m;
        let members = &self.members;
        let name = |name: &&str| (*name).to_owned();
        Ok(Response::new(m::Response {
            server_capabilities: Some(Service::<P>::capabilities()),
            resources: members
                .resources
                .keys()
                .map(|it| m::ResourceMetadata {
                    type_name: name(it),
                })
                .collect(),
            data_sources: members
                .data_sources
                .keys()
                .map(|it| m::DataSourceMetadata {
                    type_name: name(it),
                })
                .collect(),
            ephemeral_resources: members
                .ephemerals
                .keys()
                .map(|it| m::EphemeralMetadata {
                    type_name: name(it),
                })
                .collect(),
            functions: members
                .functions
                .keys()
                .map(|it| m::FunctionMetadata { name: name(it) })
                .collect(),
            ..Default::default()
        }))
    }

    async fn get_provider_schema(
        &self,
        _: Request<proto::get_provider_schema::Request>,
    ) -> Reply<proto::get_provider_schema::Response> {
        let readers = |readers: &BTreeMap<&'static str, Arc<dyn AnyReader<P::Session>>>| {
            readers
                .iter()
                .map(|(name, it)| ((*name).to_owned(), it.schema().to_proto()))
                .collect()
        };
        Ok(Response::new(proto::get_provider_schema::Response {
            provider: Some(self.schema.to_proto()),
            resource_schemas: self
                .members
                .resources
                .iter()
                .map(|(name, it)| ((*name).to_owned(), it.schema().to_proto()))
                .collect(),
            data_source_schemas: readers(&self.members.data_sources),
            ephemeral_resource_schemas: readers(&self.members.ephemerals),
            functions: self.functions(),
            server_capabilities: Some(Service::<P>::capabilities()),
            ..Default::default()
        }))
    }

    async fn get_resource_identity_schemas(
        &self,
        _: Request<proto::get_resource_identity_schemas::Request>,
    ) -> Reply<proto::get_resource_identity_schemas::Response> {
        Ok(Response::new(
            proto::get_resource_identity_schemas::Response::default(),
        ))
    }

    async fn validate_provider_config(
        &self,
        request: Request<proto::validate_provider_config::Request>,
    ) -> Reply<proto::validate_provider_config::Response> {
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let config = decode(request.get_ref().config.as_ref(), &this.schema)?;
            let mut problems = this.schema.check(&config);
            problems.extend(this.provider.validate(Config::new(&config)));
            Ok(problems)
        });
        let refusals = outcome.await.unwrap_or_else(|errors| errors);
        let diagnostics = self.waive(refusals).to_proto();
        Ok(Response::new(proto::validate_provider_config::Response {
            diagnostics,
        }))
    }

    async fn configure_provider(
        &self,
        request: Request<proto::configure_provider::Request>,
    ) -> Reply<proto::configure_provider::Response> {
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let config = decode(request.get_ref().config.as_ref(), &this.schema)?;
            let session = this.provider.configure(Config::new(&config))?;
            *this
                .configured
                .write()
                .unwrap_or_else(PoisonError::into_inner) = Some(Configured {
                session: Arc::new(session),
                cancel: CancellationToken::new(),
            });
            Ok(())
        });
        let diagnostics = outcome.await.err().unwrap_or_default().to_proto();
        Ok(Response::new(proto::configure_provider::Response {
            diagnostics,
        }))
    }

    async fn stop_provider(
        &self,
        _: Request<proto::stop_provider::Request>,
    ) -> Reply<proto::stop_provider::Response> {
        self.cancel();
        Ok(Response::new(proto::stop_provider::Response::default()))
    }

    async fn validate_resource_config(
        &self,
        request: Request<proto::validate_resource_config::Request>,
    ) -> Reply<proto::validate_resource_config::Response> {
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let request = request.into_inner();
            let resource = this.resource(&request.type_name)?;
            let config = decode(request.config.as_ref(), resource.schema())?;
            let mut problems = resource.validate(&config);
            problems.extend(refusal::write_only(
                resource.schema(),
                &config,
                request.client_capabilities.as_ref(),
            ));
            Ok(problems)
        });
        let refusals = outcome.await.unwrap_or_else(|errors| errors);
        let diagnostics = self.waive(refusals).to_proto();
        Ok(Response::new(proto::validate_resource_config::Response {
            diagnostics,
        }))
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<proto::validate_data_resource_config::Request>,
    ) -> Reply<proto::validate_data_resource_config::Response> {
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let request = request.into_inner();
            let source = this.data_source(&request.type_name)?;
            let config = decode(request.config.as_ref(), source.schema())?;
            Ok(source.validate(&config))
        });
        let refusals = outcome.await.unwrap_or_else(|errors| errors);
        let diagnostics = self.waive(refusals).to_proto();
        Ok(Response::new(
            proto::validate_data_resource_config::Response { diagnostics },
        ))
    }

    async fn validate_ephemeral_resource_config(
        &self,
        request: Request<proto::validate_ephemeral_resource_config::Request>,
    ) -> Reply<proto::validate_ephemeral_resource_config::Response> {
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let request = request.into_inner();
            let ephemeral = this.ephemeral(&request.type_name)?;
            let config = decode(request.config.as_ref(), ephemeral.schema())?;
            Ok(ephemeral.validate(&config))
        });
        let refusals = outcome.await.unwrap_or_else(|errors| errors);
        let diagnostics = self.waive(refusals).to_proto();
        Ok(Response::new(
            proto::validate_ephemeral_resource_config::Response { diagnostics },
        ))
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<proto::upgrade_resource_state::Request>,
    ) -> Reply<proto::upgrade_resource_state::Response> {
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let request = request.into_inner();
            let resource = this.resource(&request.type_name)?;
            let stored = request.raw_state.unwrap_or_default();
            if stored.json.is_empty() {
                return Err(Diagnostic::error(
                    "Cannot read the stored state",
                    "The state was written by Terraform 0.11 or older, which this provider never supported.",
                )
                .into());
            }
            let state = resource.upgrade(request.version, &stored.json)?;
            encode(&state, resource.schema())
        });
        let (upgraded_state, diagnostics) = match outcome.await {
            Ok(state) => (Some(state), Diagnostics::default()),
            Err(errors) => (None, errors),
        };
        Ok(Response::new(proto::upgrade_resource_state::Response {
            upgraded_state,
            diagnostics: diagnostics.to_proto(),
        }))
    }

    async fn read_resource(
        &self,
        request: Request<proto::read_resource::Request>,
    ) -> Reply<proto::read_resource::Response> {
        let request = request.into_inner();
        let (current, private) = (request.current_state.clone(), request.private.clone());
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let resource = this.resource(&request.type_name)?;
            let prior = decode(request.current_state.as_ref(), resource.schema())?;
            let mut cx = this.cx(&request.private)?;
            let state = resource.read(&mut cx, &prior).await?;
            Ok((encode(&state, resource.schema())?, leftovers(cx)))
        });
        let (state, (private, diagnostics)) = match outcome.await {
            Ok((state, leftovers)) => (Some(state), leftovers),
            // A failed look says nothing about the object: it stays as it was.
            Err(errors) => (current, (private, self.waive(errors))),
        };
        Ok(Response::new(proto::read_resource::Response {
            new_state: state,
            private,
            diagnostics: diagnostics.to_proto(),
            ..Default::default()
        }))
    }

    async fn plan_resource_change(
        &self,
        request: Request<proto::plan_resource_change::Request>,
    ) -> Reply<proto::plan_resource_change::Response> {
        let request = request.into_inner();
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let resource = this.resource(&request.type_name)?;
            let prior = decode(request.prior_state.as_ref(), resource.schema())?;
            let config = decode(request.config.as_ref(), resource.schema())?;
            let mut cx = this.cx(&request.prior_private)?;
            let mut parts = resource.plan(&mut cx, &prior, &config).await;
            parts.diagnostics.extend(cx.warnings);
            let schema = resource.schema();
            let only_destroys = this.provider.only_destroys();
            let parts = refusal::of_plan(parts, schema, &prior, &config, only_destroys);
            let planned = encode(&parts.planned, schema)?;
            Ok(proto::plan_resource_change::Response {
                planned_state: Some(planned),
                requires_replace: parts.replace.iter().map(Path::to_proto).collect(),
                planned_private: parts.private.to_bytes(),
                diagnostics: parts.diagnostics.to_proto(),
                ..Default::default()
            })
        });
        let response =
            outcome
                .await
                .unwrap_or_else(|errors| proto::plan_resource_change::Response {
                    diagnostics: errors.to_proto(),
                    ..Default::default()
                });
        Ok(Response::new(response))
    }

    async fn apply_resource_change(
        &self,
        request: Request<proto::apply_resource_change::Request>,
    ) -> Reply<proto::apply_resource_change::Response> {
        let request = request.into_inner();
        let (prior, private) = (request.prior_state.clone(), request.planned_private.clone());
        let type_name = request.type_name.clone();
        // Filled by the operation as it goes, and read here if it panics.
        let saved: Arc<RwLock<Option<Saved>>> = Arc::default();
        let (this, shared) = (Arc::clone(self), Arc::clone(&saved));
        let outcome = self.tasks.run(async move {
            let resource = this.resource(&request.type_name)?;
            let schema = resource.schema();
            let prior = decode(request.prior_state.as_ref(), schema)?;
            let config = decode(request.config.as_ref(), schema)?;
            let planned = decode(request.planned_state.as_ref(), schema)?;
            let mut cx = this.cx(&request.planned_private)?;
            *shared.write().unwrap_or_else(PoisonError::into_inner) = Some(cx.saved());
            let applied = resource.apply(&mut cx, &prior, &config, &planned).await;
            let state = encode(&applied.state, schema)?;
            let (private, mut diagnostics) = leftovers(cx);
            diagnostics.extend(applied.diagnostics);
            Ok((state, private, diagnostics))
        });
        let (state, private, diagnostics) = match outcome.await {
            Ok((state, private, diagnostics)) => (Some(state), private, diagnostics),
            Err(errors) => {
                let saved = saved.read().unwrap_or_else(PoisonError::into_inner).clone();
                let state = self.last_saved(&type_name, saved.as_ref()).or(prior);
                (state, private, errors)
            }
        };
        Ok(Response::new(proto::apply_resource_change::Response {
            new_state: state,
            private,
            diagnostics: diagnostics.to_proto(),
            ..Default::default()
        }))
    }

    async fn import_resource_state(
        &self,
        request: Request<proto::import_resource_state::Request>,
    ) -> Reply<proto::import_resource_state::Response> {
        let request = request.into_inner();
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let resource = this.resource(&request.type_name)?;
            let mut cx = this.cx(&[])?;
            let state = resource.import(&mut cx, &request.id).await?;
            let state = encode(&state, resource.schema())?;
            let (private, diagnostics) = leftovers(cx);
            let imported = proto::import_resource_state::ImportedResource {
                type_name: request.type_name,
                state: Some(state),
                private,
                identity: None,
            };
            Ok((imported, diagnostics))
        });
        let (imported_resources, diagnostics) = match outcome.await {
            Ok((imported, diagnostics)) => (vec![imported], diagnostics),
            Err(errors) => (Vec::new(), errors),
        };
        Ok(Response::new(proto::import_resource_state::Response {
            imported_resources,
            diagnostics: diagnostics.to_proto(),
            deferred: None,
        }))
    }

    async fn read_data_source(
        &self,
        request: Request<proto::read_data_source::Request>,
    ) -> Reply<proto::read_data_source::Response> {
        let request = request.into_inner();
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let source = this.data_source(&request.type_name)?;
            this.read_into(source, request.config.as_ref()).await
        });
        let (state, diagnostics) = split(outcome.await);
        Ok(Response::new(proto::read_data_source::Response {
            state,
            diagnostics: diagnostics.to_proto(),
            deferred: None,
        }))
    }

    async fn open_ephemeral_resource(
        &self,
        request: Request<proto::open_ephemeral_resource::Request>,
    ) -> Reply<proto::open_ephemeral_resource::Response> {
        let request = request.into_inner();
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move {
            let ephemeral = this.ephemeral(&request.type_name)?;
            this.read_into(ephemeral, request.config.as_ref()).await
        });
        let (result, diagnostics) = split(outcome.await);
        Ok(Response::new(proto::open_ephemeral_resource::Response {
            result,
            diagnostics: diagnostics.to_proto(),
            ..Default::default()
        }))
    }

    async fn renew_ephemeral_resource(
        &self,
        _: Request<proto::renew_ephemeral_resource::Request>,
    ) -> Reply<proto::renew_ephemeral_resource::Response> {
        // Only called where an opened resource asked for it, which none does.
        Ok(Response::new(
            proto::renew_ephemeral_resource::Response::default(),
        ))
    }

    async fn close_ephemeral_resource(
        &self,
        _: Request<proto::close_ephemeral_resource::Request>,
    ) -> Reply<proto::close_ephemeral_resource::Response> {
        // Nothing is held open: see `EphemeralResource`.
        Ok(Response::new(
            proto::close_ephemeral_resource::Response::default(),
        ))
    }

    async fn get_functions(
        &self,
        _: Request<proto::get_functions::Request>,
    ) -> Reply<proto::get_functions::Response> {
        Ok(Response::new(proto::get_functions::Response {
            functions: self.functions(),
            diagnostics: Vec::new(),
        }))
    }

    async fn call_function(
        &self,
        request: Request<proto::call_function::Request>,
    ) -> Reply<proto::call_function::Response> {
        let request = request.into_inner();
        let this = Arc::clone(self);
        let outcome = self.tasks.run(async move { Ok(this.call(&request)) }).await;
        let outcome = outcome
            .unwrap_or_else(|errors| Err(function::function_error(None, &function::text(&errors))));
        let (result, error) = match outcome {
            Ok(result) => (Some(result), None),
            Err(error) => (None, Some(error)),
        };
        Ok(Response::new(proto::call_function::Response {
            result,
            error,
        }))
    }
}

fn split(outcome: Outcome<(DynamicValue, Diagnostics)>) -> (Option<DynamicValue>, Diagnostics) {
    match outcome {
        Ok((value, warnings)) => (Some(value), warnings),
        Err(errors) => (None, errors),
    }
}

impl<P: Provider> Service<P> {
    async fn read_into(
        &self,
        reader: &Arc<dyn AnyReader<P::Session>>,
        config: Option<&DynamicValue>,
    ) -> Outcome<(DynamicValue, Diagnostics)> {
        let config = decode(config, reader.schema())?;
        let mut cx = self.cx(&[])?;
        let mut warnings = Diagnostics::default();
        let result = match reader.read(&mut cx, &config).await {
            // Everything that would use the result is destroyed.
            Err(errors) if self.provider.only_destroys() => {
                warnings = refusal::waived(errors);
                config
            }
            outcome => outcome?,
        };
        warnings.extend(cx.warnings);
        Ok((encode(&result, reader.schema())?, warnings))
    }

    /// The state that a panicking operation noted last.
    fn last_saved(&self, type_name: &str, saved: Option<&Saved>) -> Option<DynamicValue> {
        let state = saved?
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        let schema = self.members.resources.get(type_name)?.schema();
        encode(&schema.without_write_only(state), schema).ok()
    }
}
