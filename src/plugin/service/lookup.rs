//! Members by name.

use std::sync::Arc;

use super::{Outcome, Service};
use crate::plugin::{
    diagnostic::{Diagnostic, Diagnostics},
    erased::{AnyReader, AnyResource},
    members::Provider,
};

impl<P: Provider> Service<P> {
    pub(super) fn resource(&self, name: &str) -> Outcome<&Arc<dyn AnyResource<P::Session>>> {
        self.members
            .resources
            .get(name)
            .ok_or_else(|| unsupported("resource", name))
    }

    pub(super) fn data_source(&self, name: &str) -> Outcome<&Arc<dyn AnyReader<P::Session>>> {
        self.members
            .data_sources
            .get(name)
            .ok_or_else(|| unsupported("data source", name))
    }

    pub(super) fn ephemeral(&self, name: &str) -> Outcome<&Arc<dyn AnyReader<P::Session>>> {
        self.members
            .ephemerals
            .get(name)
            .ok_or_else(|| unsupported("ephemeral resource", name))
    }
}

fn unsupported(kind: &str, name: &str) -> Diagnostics {
    Diagnostic::error(
        format!("Unknown {kind}"),
        format!("This version of the provider has no {kind} {name:?}."),
    )
    .into()
}
