//! The program behind `data "external"`: texts in, texts out.
//!
//! One JSON object of strings comes on standard input, one goes to standard output. Nothing else
//! is read and nothing else is written: no network, no file, no environment. What comes out
//! depends on what comes in alone, so a plan may run it as often as it likes.
//!
//! The derivations are those of the provider's functions; both call the same code of the domain.

mod operation;
mod query;

use std::{collections::BTreeMap, io::Read};

pub use self::operation::Operation;
use self::query::{Query, QueryError};
use crate::{
    convex::{Secret, coder::Transition},
    plugin::wrap,
};

/// The longest message, in bytes. A build in Coder hangs on a line of its log beyond 64 KiB, and
/// what is wrong may be as long as the whole query.
const MAX_MESSAGE: usize = 4 * 1024;

/// The key of the query that names the operation, where no argument does.
const OPERATION: &str = "operation";

/// Why there is no result. It names the key, says what to do, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", wrap(&shorten(.0)))]
pub struct Failure(String);

/// What comes out, by name.
type Outcome = BTreeMap<&'static str, Secret>;

/// What is wrong with one key of a query.
#[derive(Debug)]
struct Wrong {
    key: String,
    problem: String,
}

impl Wrong {
    fn new(key: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self {
            key: key.into(),
            problem: problem.to_string(),
        }
    }
}

/// Answers a query: a JSON object of strings, as one. The operation is named by the argument or by
/// the key `operation` of the query. `transition` is what the build that asks makes of its
/// workspace.
pub fn answer(
    operation: Option<&str>,
    input: impl Read,
    transition: Transition,
) -> Result<Secret, Failure> {
    let of_query = |error: QueryError| Failure(error.to_string());
    let mut query = Query::read(input, transition).map_err(of_query)?;
    let named = query.remove(OPERATION);
    let named = named.as_ref().map(Secret::expose);
    let name = match (operation, named) {
        (Some(one), Some(other)) if one != other => {
            return Err(Failure(format!(
                "{OPERATION}: The argument asks for {one:?} and the query for {other:?}. Remove one of them."
            )));
        }
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => {
            return Err(Failure(format!(
                "{OPERATION}: It is missing. Name one after \"external\" in program, or in the query: {}.",
                names()
            )));
        }
    };
    let operation = Operation::named(name).ok_or_else(|| {
        Failure(format!(
            "{OPERATION}: {name:?} is none. Write one of {}.",
            names()
        ))
    })?;
    operation.check_keys(&query)?;
    let outcome = operation
        .run(&query)
        .map_err(|Wrong { key, problem }| Failure(format!("{name}: {key}: {problem}")))?;
    serde_json::to_string(&outcome)
        .map(|json| Secret::from(json + "\n"))
        .map_err(|error| Failure(format!("{name}: The result cannot be written: {error}.")))
}

fn names() -> String {
    Operation::ALL.map(|it| it.name).join(", ")
}

fn shorten(text: &str) -> String {
    const CUT: &str = " […] ";
    if text.len() <= MAX_MESSAGE {
        return text.to_owned();
    }
    // What to do stands at the end.
    let half = (MAX_MESSAGE - CUT.len()) / 2;
    let begin = text.floor_char_boundary(half);
    let end = text.ceil_char_boundary(text.len() - half);
    format!("{}{CUT}{}", &text[..begin], &text[end..])
}

#[cfg(test)]
mod tests;
