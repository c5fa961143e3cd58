//! The variables a deployment gives to its functions.
//!
//! All of them are changed in one batch, a single request the backend applies in one transaction.
//! The limits here are those of a backend of June 2026 with default settings. Source: upstream
//! `crates/common/src/types/environment_variables.rs` and `knobs.rs`; each limit was confirmed on a
//! running backend.

mod changes;
mod form;
mod limits;
mod name;
mod seal;
mod value;

use std::collections::BTreeMap;

pub use changes::Changes;
pub use form::misfit;
pub use limits::{LEGACY_MAX_COUNT, LimitError, MAX_COUNT, MAX_TOTAL_BYTES, check_limits};
pub use name::{LEGACY_MAX_NAME_BYTES, MAX_NAME_BYTES, VarName, VarNameError};
pub use seal::seal;
pub use value::{MAX_VALUE_BYTES, VarValue, VarValueError};

/// Variables somebody declares, by name.
pub type Variables = BTreeMap<VarName, VarValue>;
