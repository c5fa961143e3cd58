//! What a resource's own code sees of a configuration and of a plan.
//!
//! These views are the one place where unknown values meet a resource's code,
//! and there they are a case of [`Known`] and not a value.

use serde::{Serialize, de::DeserializeOwned};

use crate::plugin::{
    diagnostic::{Diagnostic, Diagnostics},
    model,
    private::Private,
    schema::Schema,
    value::{Path, Value},
};

/// Something that may not be known before apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// It is known.
    Known(T),
    /// It, or a part of it, is not known yet.
    Unknown,
}

impl Known<bool> {
    /// Known to be so.
    pub const YES: Self = Self::Known(true);
    /// Known not to be so.
    pub const NO: Self = Self::Known(false);
}

impl<T> Known<T> {
    /// What is known, if it is.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown => None,
        }
    }

    /// Whether it is not known yet.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Known<T> {
    if !value.is_wholly_known() {
        return Known::Unknown;
    }
    // What does not fit the type is reported by the attribute's own check and
    // is, for whoever asks here, as good as not there yet.
    model::from_value(value).map_or(Known::Unknown, Known::Known)
}

/// A configuration as written, parts of it perhaps unknown.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a>(&'a Value);

impl<'a> Config<'a> {
    pub(crate) fn new(value: &'a Value) -> Self {
        Self(value)
    }

    /// The value at `path`. Ask for an `Option` where null is allowed.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, path: impl Into<Path>) -> Known<T> {
        read(self.0.at(&path.into()))
    }

    /// Whether something, known or not, is given at `path`.
    #[must_use]
    pub fn has(&self, path: impl Into<Path>) -> bool {
        !self.0.at(&path.into()).is_null()
    }

    /// Whether something is given at `path`. What is not known yet may turn out
    /// to be null, as in `condition ? value : null` and in the variables of a
    /// module; it is checked again then.
    #[must_use]
    pub fn given(&self, path: impl Into<Path>) -> Known<bool> {
        match self.0.at(&path.into()) {
            Value::Unknown => Known::Unknown,
            value => Known::Known(!value.is_null()),
        }
    }

    /// The keys of the map at `path`; none when it is absent.
    #[must_use]
    pub fn keys(&self, path: impl Into<Path>) -> Known<Vec<String>> {
        match self.0.at(&path.into()) {
            Value::Unknown => Known::Unknown,
            Value::Map(elements) => Known::Known(elements.keys().cloned().collect()),
            _ => Known::Known(Vec::new()),
        }
    }
}

/// A plan in the making.
///
/// It starts as what the schema says and is finished by the resource's `plan`,
/// which must answer the same each time for the same input: Terraform plans
/// again during apply and refuses a plan that moved.
#[derive(Debug)]
pub struct Plan<'a> {
    schema: &'a Schema,
    prior: &'a Value,
    config: &'a Value,
    planned: Value,
    private: Private,
    replace: Vec<Path>,
    diagnostics: Diagnostics,
}

/// What is left when a plan is finished.
pub(crate) struct PlanParts {
    pub(crate) planned: Value,
    pub(crate) private: Private,
    pub(crate) replace: Vec<Path>,
    pub(crate) diagnostics: Diagnostics,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(
        schema: &'a Schema,
        prior: &'a Value,
        config: &'a Value,
        planned: Value,
        private: Private,
    ) -> Self {
        Self {
            schema,
            prior,
            config,
            planned,
            private,
            replace: Vec::new(),
            diagnostics: Diagnostics::default(),
        }
    }

    pub(crate) fn into_parts(self) -> PlanParts {
        PlanParts {
            planned: self.planned,
            private: self.private,
            replace: self.replace,
            diagnostics: self.diagnostics,
        }
    }

    /// Whether there is no prior object.
    #[must_use]
    pub fn creates(&self) -> bool {
        self.prior.is_null()
    }

    /// Whether the object goes away.
    #[must_use]
    pub fn deletes(&self) -> bool {
        self.config.is_null()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> Config<'a> {
        Config(self.config)
    }

    /// The prior value at `path`; `None` when there is none or it is null.
    #[must_use]
    pub fn prior<T: DeserializeOwned>(&self, path: impl Into<Path>) -> Option<T> {
        match self.prior.at(&path.into()) {
            value if value.is_null() => None,
            value => read(value).known(),
        }
    }

    /// The planned value at `path`. Ask for an `Option` where null is allowed.
    #[must_use]
    pub fn planned<T: DeserializeOwned>(&self, path: impl Into<Path>) -> Known<T> {
        read(self.planned.at(&path.into()))
    }

    /// The planned value at `path`, in which what is not known yet reads as
    /// absent.
    #[must_use]
    pub fn outline<T: DeserializeOwned>(&self, path: impl Into<Path>) -> Option<T> {
        model::from_value(self.planned.at(&path.into())).ok()
    }

    /// Whether the planned value at `path` differs from the prior one. Unknown
    /// differs from everything known.
    #[must_use]
    pub fn changes(&self, path: impl Into<Path>) -> bool {
        let path = path.into();
        let ty = self.schema.ty();
        !ty.at(&path)
            .is_some_and(|ty| self.prior.at(&path).same(self.planned.at(&path), ty))
    }

    /// Whether anything differs from the prior object so far.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        !self.prior.same(&self.planned, &self.schema.ty())
    }

    /// Plans `value` at `path`, where the schema lets the provider decide.
    pub fn set<T: Serialize + ?Sized>(&mut self, path: impl Into<Path>, value: &T) {
        let path = path.into();
        match model::to_value(value) {
            Ok(value) => self.put(&path, value),
            Err(error) => self
                .diagnostics
                .push(Diagnostic::error("Bug in the provider", error.to_string()).at(path)),
        }
    }

    /// Plans that the value at `path` is known after apply only.
    pub fn set_unknown(&mut self, path: impl Into<Path>) {
        self.put(&path.into(), Value::Unknown);
    }

    fn put(&mut self, path: &Path, value: Value) {
        // A place inside something unknown is unknown already.
        if let Some(place) = self.planned.at_mut(path) {
            *place = value;
        }
    }

    /// Plans that the change at `path` replaces the object.
    pub fn replace(&mut self, path: impl Into<Path>) {
        self.replace.push(path.into());
    }

    /// Adds an error or a warning.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The resource's private data, as the next apply will get it.
    pub fn private(&mut self) -> &mut Private {
        &mut self.private
    }
}
