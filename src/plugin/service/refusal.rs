//! What is refused of every resource, and what a refusal comes to where something is to be
//! destroyed.
//!
//! Terraform makes a normal plan before it plans to destroy (`Context.destroyPlan`, v1.11.4), so
//! whatever refuses that plan also keeps the resource from being destroyed. `-refresh=false` leaves
//! it out.

use crate::plugin::{
    diagnostic::{Diagnostic, Diagnostics, Severity},
    planning::{PlanParts, propose},
    proto,
    schema::Schema,
    value::Value,
};

const ANYWAY: &str =
    "To destroy this resource all the same, run `terraform destroy -refresh=false`.";

const GOES_ON: &str = "This is a warning and not an error because the workspace is being deleted.";

/// Terraform before 1.11 stores what it does not know to be write-only.
pub(super) fn write_only(
    schema: &Schema,
    config: &Value,
    capabilities: Option<&proto::ClientCapabilities>,
) -> Diagnostics {
    if capabilities.is_some_and(|client| client.write_only_attributes_allowed) {
        return Diagnostics::default();
    }
    schema
        .write_only_given(config)
        .into_iter()
        .map(|path| {
            Diagnostic::error(
                "Write-only attribute not supported",
                format!(
                    "{path} is write-only, which needs Terraform 1.11 or OpenTofu 1.11, or newer. Upgrade, or use the attribute that is stored in the state instead."
                ),
            )
            .at(path)
        })
        .collect()
}

/// The refusals of a run that only destroys.
pub(super) fn waived(refusals: Diagnostics) -> Diagnostics {
    refusals.errors_as(Severity::Warning, GOES_ON)
}

/// A plan whose refusals say how to destroy all the same, or do not stop a run that only destroys.
pub(super) fn of_plan(
    parts: PlanParts,
    schema: &Schema,
    prior: &Value,
    config: &Value,
    only_destroys: bool,
) -> PlanParts {
    if config.is_null() || !parts.diagnostics.has_errors() {
        return parts;
    }
    if only_destroys {
        return PlanParts {
            // It is never applied, and must be one that Terraform accepts.
            planned: propose(schema, prior, config),
            replace: Vec::new(),
            diagnostics: waived(parts.diagnostics),
            ..parts
        };
    }
    if prior.is_null() {
        return parts;
    }
    PlanParts {
        diagnostics: parts.diagnostics.errors_as(Severity::Error, ANYWAY),
        ..parts
    }
}

#[cfg(test)]
mod tests {
    use super::of_plan;
    use crate::plugin::{
        diagnostic::{Diagnostic, Severity},
        planning::{PlanParts, conformance},
        private::Private,
        schema::{Fields, Schema, string},
        value::{Path, Value},
    };

    fn schema() -> Schema {
        let name = string("").required().replaces();
        Schema::new("A test.", Fields::new().with("name", name))
    }

    fn named(name: &str) -> Value {
        Value::from([("name", Value::from(name))])
    }

    fn refused(prior: &Value, config: &Value, only_destroys: bool) -> PlanParts {
        let parts = PlanParts {
            planned: Value::from([("name", Value::Null)]),
            private: Private::default(),
            replace: vec![Path::of("name")],
            diagnostics: Diagnostic::error("Refused", "The name is taken.").into(),
        };
        of_plan(parts, &schema(), prior, config, only_destroys)
    }

    fn only(parts: &PlanParts) -> &Diagnostic {
        parts.diagnostics.iter().next().unwrap()
    }

    #[test]
    fn a_refused_change_says_how_to_destroy_all_the_same() {
        let (old, new) = (named("old"), named("new"));
        let parts = refused(&old, &new, false);
        assert_eq!(only(&parts).severity(), Severity::Error);
        assert!(
            only(&parts)
                .detail()
                .ends_with("`terraform destroy -refresh=false`.")
        );
        // There is nothing yet to destroy, and a destruction that is refused is not helped so.
        for (prior, config) in [(&Value::Null, &new), (&old, &Value::Null)] {
            let parts = refused(prior, config, false);
            assert_eq!(only(&parts).detail(), "The name is taken.");
        }
    }

    #[test]
    fn a_run_that_only_destroys_gets_a_plan_that_terraform_accepts() {
        let (old, new) = (named("old"), named("new"));
        for prior in [&old, &Value::Null] {
            let parts = refused(prior, &new, true);
            assert_eq!(only(&parts).severity(), Severity::Warning);
            assert!(only(&parts).detail().starts_with("The name is taken.\n\n"));
            assert!(parts.replace.is_empty());
            let breaches = conformance::of_plan(&schema(), prior, &new, &parts.planned);
            assert_eq!(breaches, []);
        }
        let parts = refused(&old, &Value::Null, true);
        assert_eq!(only(&parts).severity(), Severity::Error);
    }
}
