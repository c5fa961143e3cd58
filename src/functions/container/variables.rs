//! Variables that a user adds to a container.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

use super::{refused, wrong};
use crate::{
    convex::{Secret, process_env::ExtraEnvError},
    plugin::FunctionError,
};

/// Variables as people write them: also numbers and truths, and null for none.
pub type GivenEnv = BTreeMap<String, Option<Text>>;

/// A text, a number or a truth, as the text that a process gets.
pub struct Text(Secret);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;

        impl Visitor<'_> for Scalar {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number or a bool")
            }

            fn visit_bool<E: Error>(self, truth: bool) -> Result<Text, E> {
                self.visit_string(truth.to_string())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
                self.visit_string(number.to_string())
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
                self.visit_string(number.to_string())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Text, E> {
                self.visit_string(number.to_string())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Secret::from(text)))
            }
        }

        deserializer.deserialize_any(Scalar)
    }
}

/// What a user adds, plain and secret.
pub struct Variables {
    all: BTreeMap<String, Secret>,
    secret_names: BTreeSet<String>,
}

impl Variables {
    /// Takes what is not null of both.
    pub fn of(plain: Option<GivenEnv>, secret: Option<GivenEnv>) -> Result<Self, FunctionError> {
        let given = |env: Option<GivenEnv>| {
            let entries = env.unwrap_or_default().into_iter();
            entries.filter_map(|(name, value)| Some((name, value?.0)))
        };
        let mut all: BTreeMap<_, _> = given(plain).collect();
        let mut secret_names = BTreeSet::new();
        for (name, value) in given(secret) {
            if all.insert(name.clone(), value).is_some() {
                let problem = "It is in env too. Keep one of the two.";
                return Err(wrong(&format!("secret_env[{name:?}]"), &problem));
            }
            secret_names.insert(name);
        }
        Ok(Self { all, secret_names })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.all.iter();
        all.map(|(name, value)| (name.as_str(), value.expose()))
    }

    /// The names of those whose values are secrets.
    pub fn secret_names(&self) -> &BTreeSet<String> {
        &self.secret_names
    }

    fn place(&self, name: &str) -> String {
        let map = if self.secret_names.contains(name) {
            "secret_env"
        } else {
            "env"
        };
        format!("{map}[{name:?}]")
    }

    /// A problem with one of them, at the map that it is in.
    pub fn refuse(&self, name: &str, problem: &dyn fmt::Display) -> FunctionError {
        wrong(&self.place(name), problem)
    }

    /// Problems with some of them.
    pub fn wrong(&self, errors: &[ExtraEnvError]) -> FunctionError {
        let errors = errors.iter();
        let lines = errors.map(|error| format!("{}: {error}", self.place(error.name())));
        refused(lines.collect::<Vec<_>>().join("\n"))
    }
}
