//! What a provider is made of: the typed traits behind each kind of object.
//!
//! A kind of object is a type that implements one of these traits. Create,
//! read, update and delete get models in which everything is known; unknown
//! values stop before.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use crate::plugin::{
    diagnostic::{Diagnostic, Diagnostics},
    model,
    planning::{Config, Known, Plan},
    private::Private,
    schema::Schema,
    value::{Path, Type, Value},
};

/// A provider: its own configuration and everything it offers.
pub trait Provider: Send + Sync + 'static {
    /// What configuring it results in, shared by all operations after.
    type Session: Send + Sync + 'static;

    /// The schema of the `provider` block.
    fn schema(&self) -> Schema;

    /// Checks beyond those of the schema. Must not do I/O.
    fn validate(&self, _config: Config<'_>) -> Diagnostics {
        Diagnostics::default()
    }

    /// Takes the configuration, parts of which may be unknown during a plan.
    /// Must not do I/O: what it describes may not exist yet.
    fn configure(&self, config: Config<'_>) -> Result<Self::Session, Diagnostics>;

    /// Whether this run of Terraform only destroys. What is refused of a configuration, of a plan
    /// or of a look at what exists is then a warning, since Terraform plans before it destroys.
    fn only_destroys(&self) -> bool {
        false
    }

    /// Everything it offers.
    fn members(&self) -> super::Members<Self::Session>;
}

/// What an operation has at hand beside its own values.
#[derive(Debug)]
pub struct Cx<S> {
    /// The configured provider.
    pub session: Arc<S>,
    /// Private data of the resource; what it holds at the end is stored.
    pub private: Private,
    /// Warnings to show even when the operation succeeds.
    pub warnings: Diagnostics,
    cancel: CancellationToken,
    saved: Saved,
}

/// Where [`Cx::checkpoint`] puts the state, out of the reach of a panic.
pub(crate) type Saved = Arc<Mutex<Option<Value>>>;

impl<S> Cx<S> {
    pub(crate) fn new(session: Arc<S>, private: Private, cancel: CancellationToken) -> Self {
        Self {
            session,
            private,
            warnings: Diagnostics::default(),
            cancel,
            saved: Saved::default(),
        }
    }

    /// Adds a warning.
    pub fn warn(&mut self, warning: Diagnostic) {
        self.warnings.push(warning);
    }

    /// Fires when Terraform was told to stop. An operation then comes to a
    /// safe place and returns an error.
    #[must_use]
    pub fn cancellation(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Notes what exists now, as the state to store should the operation end
    /// here, by an error, a cancellation or a panic. Without a checkpoint a
    /// failed create leaves nothing in the state, and any other failed
    /// operation leaves the prior state.
    pub fn checkpoint<M: Serialize>(&self, model: &M) {
        if let Ok(value) = model::to_value(model) {
            *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        }
    }

    pub(crate) fn saved(&self) -> Saved {
        Arc::clone(&self.saved)
    }
}

/// A managed resource.
///
/// The process may die at any await: whatever an operation has made must be
/// found again by the next one. Errors, cancellations and panics lose nothing
/// that was noted with [`Cx::checkpoint`].
pub trait Resource<S: Send + Sync + 'static>: Send + Sync + 'static {
    /// The whole state, one field for each attribute.
    type Model: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The schema.
    fn schema(&self) -> Schema;

    /// Checks beyond those of the schema. Must not do I/O.
    fn validate(&self, _config: Config<'_>) -> Diagnostics {
        Diagnostics::default()
    }

    /// Finishes a plan; see [`Plan`]. Also called for a deletion.
    fn plan(&self, _cx: &mut Cx<S>, _plan: &mut Plan<'_>) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Makes the object. Fields the plan left open are `None` in `planned` and
    /// are filled in the returned model.
    fn create(
        &self,
        cx: &mut Cx<S>,
        planned: Self::Model,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;

    /// Looks at the object; `None` when it is gone.
    fn read(
        &self,
        cx: &mut Cx<S>,
        prior: Self::Model,
    ) -> impl Future<Output = Result<Option<Self::Model>, Diagnostics>> + Send;

    /// Changes the object in place.
    fn update(
        &self,
        cx: &mut Cx<S>,
        prior: Self::Model,
        planned: Self::Model,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;

    /// Removes the object. It having gone already is success.
    fn delete(
        &self,
        cx: &mut Cx<S>,
        prior: Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;

    /// Finds an existing object by the ID a person gives; a read follows.
    fn import(
        &self,
        cx: &mut Cx<S>,
        id: &str,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;

    /// Rewrites a state stored under an older schema version.
    fn upgrade(
        &self,
        from_version: i64,
        _state: serde_json::Value,
    ) -> Result<serde_json::Value, Diagnostics> {
        Err(Diagnostic::error(
            "Cannot read the stored state",
            format!(
                "The state has schema version {from_version}, which no release of this provider wrote."
            ),
        )
        .into())
    }
}

/// A data source: reads, and changes nothing.
pub trait DataSource<S: Send + Sync + 'static>: Send + Sync + 'static {
    /// Configuration and result, one field for each attribute.
    type Model: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The schema.
    fn schema(&self) -> Schema;

    /// Checks beyond those of the schema. Must not do I/O.
    fn validate(&self, _config: Config<'_>) -> Diagnostics {
        Diagnostics::default()
    }

    /// Reads, with what the configuration gives in `config`.
    fn read(
        &self,
        cx: &mut Cx<S>,
        config: Self::Model,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;
}

/// An ephemeral resource: its result is stored nowhere.
///
/// Results here need neither renewal nor closing. Terraform may never close
/// what it opened, so nothing may depend on it.
pub trait EphemeralResource<S: Send + Sync + 'static>: Send + Sync + 'static {
    /// Configuration and result, one field for each attribute.
    type Model: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The schema.
    fn schema(&self) -> Schema;

    /// Checks beyond those of the schema. Must not do I/O.
    fn validate(&self, _config: Config<'_>) -> Diagnostics {
        Diagnostics::default()
    }

    /// Makes the result. [`Known::Unknown`] says that, during a plan, the thing
    /// it is about is yet to be made.
    fn open(
        &self,
        cx: &mut Cx<S>,
        config: Self::Model,
    ) -> impl Future<Output = Result<Known<Self::Model>, Diagnostics>> + Send;
}

/// A parameter of a function.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
    pub(crate) description: &'static str,
    pub(crate) nullable: bool,
}

impl Parameter {
    /// A parameter that is never null.
    #[must_use]
    pub fn new(name: &'static str, ty: Type, description: &'static str) -> Self {
        Self {
            name,
            ty,
            description,
            nullable: false,
        }
    }

    /// The same parameter, which may be null.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }
}

/// What a function looks like.
#[derive(Clone, Debug)]
pub struct Signature {
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) variadic: Option<Parameter>,
    pub(crate) returns: Type,
}

impl Signature {
    /// A function without parameters yet.
    #[must_use]
    pub fn new(summary: &'static str, description: &'static str, returns: Type) -> Self {
        Self {
            summary,
            description,
            parameters: Vec::new(),
            variadic: None,
            returns,
        }
    }

    /// With one more parameter.
    #[must_use]
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// With a last parameter that may be given any number of times.
    #[must_use]
    pub fn variadic(mut self, parameter: Parameter) -> Self {
        self.variadic = Some(parameter);
        self
    }
}

/// A function call that failed.
#[derive(Debug)]
pub struct FunctionError {
    /// Which argument is to blame, from zero.
    pub argument: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

impl FunctionError {
    /// An error of argument number `index`, from zero.
    pub fn argument(index: usize, message: impl Into<String>) -> Self {
        Self {
            argument: Some(index),
            message: message.into(),
        }
    }
}

/// A pure function. It is called without any configuration, often in a process
/// of its own. Within one run of Terraform it must answer the same for the same
/// arguments.
pub trait Function: Send + Sync + 'static {
    /// The arguments, in order: a tuple, whose last member is a `Vec` when the
    /// signature is variadic.
    type Arguments: DeserializeOwned + Send;
    /// The result.
    type Output: Serialize;

    /// The signature.
    fn signature(&self) -> Signature;

    /// Works out the result.
    fn call(&self, arguments: Self::Arguments) -> Result<Self::Output, FunctionError>;
}

impl FunctionError {
    /// The error of a value at `path`, whose first step is the position among
    /// the arguments; a variadic argument has its own position as second step.
    pub(crate) fn at_place(path: &Path, signature: &Signature, problem: &str) -> Self {
        use crate::plugin::value::Step;
        let (argument, rest) = match path.steps() {
            [Step::Index(index), Step::Index(more), rest @ ..]
                if *index == signature.parameters.len() =>
            {
                (Some(index + more), rest)
            }
            [Step::Index(index), rest @ ..] => (Some(*index), rest),
            rest => (None, rest),
        };
        // The element of a map or list is written behind the name of the argument.
        let parameter = argument.and_then(|at| signature.parameters.get(at));
        let base = match (rest, parameter) {
            ([Step::Key(_) | Step::Index(_), ..], Some(parameter)) => Path::of(parameter.name),
            _ => Path::root(),
        };
        let place = rest.iter().fold(base, |path, step| match step {
            Step::Attribute(name) => path.attribute(name),
            Step::Key(key) => path.key(key),
            Step::Index(index) => path.index(*index),
        });
        let message = if rest.is_empty() {
            problem.to_owned()
        } else {
            format!("{place}: {problem}")
        };
        Self { argument, message }
    }
}
