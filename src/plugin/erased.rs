//! The typed traits behind one untyped face each, which is what the protocol
//! service works with.

use std::{collections::BTreeMap, sync::Arc, sync::PoisonError};

use futures_util::future::{BoxFuture, FutureExt};
use serde::{Serialize, de::DeserializeOwned};

use crate::plugin::{
    diagnostic::{Diagnostic, Diagnostics},
    members::{
        Cx, DataSource, EphemeralResource, Function, FunctionError, Resource, Saved, Signature,
    },
    model,
    planning::{
        Config, Known, Plan, PlanParts, changed_replacing, conformance, propose, strip_write_only,
        with_write_only,
    },
    schema::{Attribute, Attributes, Nesting, Presence, Schema, Shape},
    value::{Path, Type, Value},
    wire,
};

/// Everything a provider offers, by name.
pub struct Members<S> {
    pub(crate) resources: BTreeMap<&'static str, Arc<dyn AnyResource<S>>>,
    pub(crate) data_sources: BTreeMap<&'static str, Arc<dyn AnyReader<S>>>,
    pub(crate) ephemerals: BTreeMap<&'static str, Arc<dyn AnyReader<S>>>,
    pub(crate) functions: BTreeMap<&'static str, Arc<dyn AnyFunction>>,
}

impl<S: Send + Sync + 'static> Members<S> {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            resources: BTreeMap::new(),
            data_sources: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            functions: BTreeMap::new(),
        }
    }

    /// With a managed resource.
    #[must_use]
    pub fn resource<R: Resource<S>>(mut self, name: &'static str, resource: R) -> Self {
        let schema = resource.schema();
        self.resources
            .insert(name, Arc::new(ErasedResource { schema, resource }));
        self
    }

    /// With a data source.
    #[must_use]
    pub fn data_source<D: DataSource<S>>(mut self, name: &'static str, source: D) -> Self {
        let schema = source.schema();
        self.data_sources
            .insert(name, Arc::new(ErasedDataSource { schema, source }));
        self
    }

    /// With an ephemeral resource.
    #[must_use]
    pub fn ephemeral<E: EphemeralResource<S>>(mut self, name: &'static str, ephemeral: E) -> Self {
        let schema = ephemeral.schema();
        self.ephemerals
            .insert(name, Arc::new(ErasedEphemeral { schema, ephemeral }));
        self
    }

    /// With a function.
    #[must_use]
    pub fn function<F: Function>(mut self, name: &'static str, function: F) -> Self {
        let signature = function.signature();
        self.functions.insert(
            name,
            Arc::new(ErasedFunction {
                signature,
                function,
            }),
        );
        self
    }

    /// Builds a value of every attribute of every model from its schema, reads
    /// it as the model and writes it again. A difference means that model and
    /// schema do not have the same attributes; the differences are returned.
    #[must_use]
    pub fn model_mismatches(&self) -> Vec<String> {
        let resources = self
            .resources
            .iter()
            .map(|(name, it)| (name, it.round_trip()));
        let readers = self.data_sources.iter().chain(&self.ephemerals);
        let readers = readers.map(|(name, it)| (name, it.round_trip()));
        resources
            .chain(readers)
            .filter_map(|(name, result)| result.err().map(|error| format!("{name}: {error}")))
            .collect()
    }
}

impl<S: Send + Sync + 'static> Default for Members<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// What an apply left behind.
pub(crate) struct Applied {
    pub(crate) state: Value,
    pub(crate) diagnostics: Diagnostics,
}

pub(crate) trait AnyResource<S>: Send + Sync {
    fn schema(&self) -> &Schema;
    fn validate(&self, config: &Value) -> Diagnostics;
    fn upgrade(&self, version: i64, state: &[u8]) -> Result<Value, Diagnostics>;
    fn plan<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        prior: &'a Value,
        config: &'a Value,
    ) -> BoxFuture<'a, PlanParts>;
    fn apply<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        prior: &'a Value,
        config: &'a Value,
        planned: &'a Value,
    ) -> BoxFuture<'a, Applied>;
    fn read<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        prior: &'a Value,
    ) -> BoxFuture<'a, Result<Value, Diagnostics>>;
    fn import<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Value, Diagnostics>>;
    fn round_trip(&self) -> Result<(), String>;
}

/// A data source or an ephemeral resource: from configuration to result.
pub(crate) trait AnyReader<S>: Send + Sync {
    fn schema(&self) -> &Schema;
    fn validate(&self, config: &Value) -> Diagnostics;
    fn read<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        config: &'a Value,
    ) -> BoxFuture<'a, Result<Value, Diagnostics>>;
    fn round_trip(&self) -> Result<(), String>;
}

pub(crate) trait AnyFunction: Send + Sync {
    fn signature(&self) -> &Signature;
    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError>;
}

fn to_model<M: DeserializeOwned>(value: &Value) -> Result<M, Diagnostics> {
    model::from_value(value).map_err(|error| {
        let path = error.path(&Path::root());
        Diagnostic::error(format!("Invalid value for {path}"), error.problem())
            .at(path)
            .into()
    })
}

fn from_model<M: Serialize>(schema: &Schema, model: &M) -> Result<Value, Diagnostics> {
    let mut value = model::to_value(model)
        .map_err(|error| Diagnostic::error("Bug in the provider", error.to_string()))?;
    strip_write_only(&schema.attributes, &mut value);
    // What cannot be sent is found here, where something can still be said.
    wire::msgpack::encode(&value, &schema.ty())
        .map_err(|error| Diagnostic::error("Bug in the provider", error.to_string()))?;
    Ok(value)
}

fn validate(
    schema: &Schema,
    config: &Value,
    own: impl FnOnce(Config<'_>) -> Diagnostics,
) -> Diagnostics {
    let mut problems = schema.check(config);
    problems.extend(own(Config::new(config)));
    problems
}

struct ErasedResource<R> {
    schema: Schema,
    resource: R,
}

impl<R> ErasedResource<R> {
    /// The outcome of a failed operation: what was noted last, else `prior`.
    fn failed(&self, saved: &Saved, prior: &Value, errors: Diagnostics) -> Applied {
        let saved = saved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut state = saved.unwrap_or_else(|| prior.clone());
        strip_write_only(&self.schema.attributes, &mut state);
        Applied {
            state,
            diagnostics: errors,
        }
    }

    fn succeeded(&self, planned: &Value, state: Value) -> Applied {
        let breaches = conformance::of_apply(&self.schema, planned, &state);
        let mut diagnostics = Diagnostics::default();
        if !breaches.is_empty() {
            diagnostics.push(conformance::bug("ApplyResourceChange", &breaches));
        }
        Applied { state, diagnostics }
    }
}

impl<S, R> AnyResource<S> for ErasedResource<R>
where
    S: Send + Sync + 'static,
    R: Resource<S>,
{
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        validate(&self.schema, config, |config| {
            self.resource.validate(config)
        })
    }

    fn upgrade(&self, version: i64, state: &[u8]) -> Result<Value, Diagnostics> {
        let unreadable = |error: &dyn std::fmt::Display| {
            Diagnostic::error("Cannot read the stored state", error.to_string())
        };
        let upgraded;
        let state = if version == self.schema.version {
            state
        } else {
            let old = serde_json::from_slice(state).map_err(|error| unreadable(&error))?;
            upgraded = self.resource.upgrade(version, old)?.to_string();
            upgraded.as_bytes()
        };
        wire::json::decode(state, &self.schema.ty())
            .map_err(|error| unreadable(&error).at(error.path.clone()).into())
    }

    fn plan<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        prior: &'a Value,
        config: &'a Value,
    ) -> BoxFuture<'a, PlanParts> {
        async move {
            let proposed = if config.is_null() {
                Value::Null
            } else {
                propose(&self.schema, prior, config)
            };
            let private = cx.private.clone();
            let mut plan = Plan::new(&self.schema, prior, config, proposed, private);
            self.resource.plan(cx, &mut plan).await;
            let mut parts = plan.into_parts();
            if !prior.is_null() && !parts.planned.is_null() {
                parts
                    .replace
                    .extend(changed_replacing(&self.schema, prior, &parts.planned));
            }
            // Terraform does not look at the values of a plan that is refused.
            if !parts.diagnostics.has_errors() {
                let breaches = conformance::of_plan(&self.schema, prior, config, &parts.planned);
                if !breaches.is_empty() {
                    parts
                        .diagnostics
                        .push(conformance::bug("PlanResourceChange", &breaches));
                }
            }
            parts
        }
        .boxed()
    }

    fn apply<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        prior: &'a Value,
        config: &'a Value,
        planned: &'a Value,
    ) -> BoxFuture<'a, Applied> {
        async move {
            let saved = cx.saved();
            let attributes = &self.schema.attributes;
            let outcome = async {
                if planned.is_null() {
                    let prior = to_model(prior)?;
                    self.resource.delete(cx, prior).await?;
                    return Ok(Value::Null);
                }
                let wanted = to_model(&with_write_only(attributes, planned, config))?;
                let model = if prior.is_null() {
                    self.resource.create(cx, wanted).await?
                } else {
                    let prior = to_model(prior)?;
                    self.resource.update(cx, prior, wanted).await?
                };
                from_model(&self.schema, &model)
            };
            match outcome.await {
                Ok(state) => self.succeeded(planned, state),
                Err(errors) => self.failed(&saved, prior, errors),
            }
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        prior: &'a Value,
    ) -> BoxFuture<'a, Result<Value, Diagnostics>> {
        async move {
            match self.resource.read(cx, to_model(prior)?).await? {
                Some(model) => from_model(&self.schema, &model),
                None => Ok(Value::Null),
            }
        }
        .boxed()
    }

    fn import<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Value, Diagnostics>> {
        async move { from_model(&self.schema, &self.resource.import(cx, id).await?) }.boxed()
    }

    fn round_trip(&self) -> Result<(), String> {
        round_trip::<R::Model>(&self.schema)
    }
}

struct ErasedDataSource<D> {
    schema: Schema,
    source: D,
}

struct ErasedEphemeral<E> {
    schema: Schema,
    ephemeral: E,
}

/// Results must repeat the configuration as it is.
fn repeats(schema: &Schema, config: &Value, result: Value) -> Result<Value, Diagnostics> {
    let breaches = conformance::of_plan(schema, &Value::Null, config, &result);
    if breaches.is_empty() {
        Ok(result)
    } else {
        Err(conformance::bug("a read", &breaches).into())
    }
}

impl<S, D> AnyReader<S> for ErasedDataSource<D>
where
    S: Send + Sync + 'static,
    D: DataSource<S>,
{
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        validate(&self.schema, config, |config| self.source.validate(config))
    }

    fn read<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        config: &'a Value,
    ) -> BoxFuture<'a, Result<Value, Diagnostics>> {
        async move {
            let wanted = to_model(&propose(&self.schema, &Value::Null, config))?;
            let model = self.source.read(cx, wanted).await?;
            repeats(&self.schema, config, from_model(&self.schema, &model)?)
        }
        .boxed()
    }

    fn round_trip(&self) -> Result<(), String> {
        round_trip::<D::Model>(&self.schema)
    }
}

impl<S, E> AnyReader<S> for ErasedEphemeral<E>
where
    S: Send + Sync + 'static,
    E: EphemeralResource<S>,
{
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        validate(&self.schema, config, |config| {
            self.ephemeral.validate(config)
        })
    }

    fn read<'a>(
        &'a self,
        cx: &'a mut Cx<S>,
        config: &'a Value,
    ) -> BoxFuture<'a, Result<Value, Diagnostics>> {
        async move {
            // What the provider is to give is unknown in it.
            let proposed = propose(&self.schema, &Value::Null, config);
            let result = match self.ephemeral.open(cx, to_model(&proposed)?).await? {
                Known::Known(model) => from_model(&self.schema, &model)?,
                Known::Unknown => proposed,
            };
            repeats(&self.schema, config, result)
        }
        .boxed()
    }

    fn round_trip(&self) -> Result<(), String> {
        round_trip::<E::Model>(&self.schema)
    }
}

struct ErasedFunction<F> {
    signature: Signature,
    function: F,
}

impl<F: Function> AnyFunction for ErasedFunction<F> {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn call(&self, mut arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let fixed = self.signature.parameters.len();
        if self.signature.variadic.is_some() {
            let rest = arguments.split_off(fixed.min(arguments.len()));
            arguments.push(Value::List(rest));
        }
        let arguments = model::from_value(&Value::List(arguments)).map_err(|error| {
            let path = error.path(&Path::root());
            FunctionError::at_place(&path, &self.signature, error.problem())
        })?;
        let output = self.function.call(arguments)?;
        let value = model::to_value(&output).map_err(|error| FunctionError {
            argument: None,
            message: format!("Bug in the provider: {error}"),
        })?;
        Ok(value)
    }
}

/// Reads `schema`'s fullest and emptiest value as `M` and writes it back.
fn round_trip<M: Serialize + DeserializeOwned>(schema: &Schema) -> Result<(), String> {
    let ty = schema.ty();
    for full in [true, false] {
        let sample = sample_object(&schema.attributes, full);
        let model: M = model::from_value(&sample)
            .map_err(|error| format!("the model does not take the schema's value: {error}"))?;
        let written = model::to_value(&model).map_err(|error| error.to_string())?;
        wire::msgpack::encode(&written, &ty)
            .map_err(|error| format!("the schema does not take the model's value: {error}"))?;
        if !written.same(&sample, &ty) {
            return Err(format!("{sample:?} came back as {written:?}"));
        }
    }
    Ok(())
}

/// An object with something in every attribute, or only in required ones.
fn sample_object(attributes: &Attributes, full: bool) -> Value {
    let value_of = |attribute: &Attribute| {
        if !full && !matches!(attribute.presence, Presence::Required) {
            return Value::Null;
        }
        match &attribute.shape {
            Shape::Leaf(ty) => attribute
                .choices
                .first()
                .map_or_else(|| sample(ty), |choice| Value::from(*choice)),
            Shape::Nested(nesting, nested) => {
                let object = sample_object(nested, full);
                match nesting {
                    Nesting::Single => object,
                    Nesting::List | Nesting::Set => Value::List(vec![object]),
                    Nesting::Map => Value::Map([("sample".to_owned(), object)].into()),
                }
            }
        }
    };
    Value::Map(
        attributes
            .iter()
            .map(|(name, attribute)| (name.clone(), value_of(attribute)))
            .collect(),
    )
}

fn sample(ty: &Type) -> Value {
    match ty {
        Type::String | Type::Dynamic => Value::from("sample"),
        Type::Number => Value::from(1),
        Type::Bool => Value::from(true),
        Type::List(of) | Type::Set(of) => Value::List(vec![sample(of)]),
        Type::Map(of) => Value::Map([("sample".to_owned(), sample(of))].into()),
        Type::Tuple(types) => Value::List(types.iter().map(sample).collect()),
        Type::Object(attributes) => Value::Map(
            attributes
                .iter()
                .map(|(name, ty)| (name.clone(), sample(ty)))
                .collect(),
        ),
    }
}
