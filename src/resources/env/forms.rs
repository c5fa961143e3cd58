//! What a plan says of variables that libraries for signing in cannot read.

use super::{
    compare::Comparison,
    plan::{declared_names, declared_value},
};
use crate::{
    convex::env_var::misfit,
    plugin::{Diagnostic, Plan, value::Path},
};

/// Warns of each value without the form that its variable has, when it is new. A value that is
/// known during apply only is looked at by the plan that Terraform makes then.
pub fn report(plan: &mut Plan<'_>, comparison: &Comparison) {
    for (name, declared) in declared_names(plan.config()) {
        let is_new = plan.creates()
            || plan.changes(declared.clone())
            || comparison.differing.contains(&name);
        if is_new
            && let Some((value, path)) = declared_value(plan.config(), &declared)
            && let Some(problem) = misfit(&name, value.expose())
        {
            let warning = Diagnostic::warning(
                // Terraform folds warnings with the same summary into one.
                format!("The value of {name} cannot be used"),
                format!(
                    "{problem} Until {path} is corrected, the variable is set as it is, and signing in with @convex-dev/auth fails."
                ),
            );
            // Of a path Terraform shows the line, on which a secret may be written out.
            plan.report(if path == Path::of("variables").key(&name) {
                warning.at(path)
            } else {
                warning
            });
        }
    }
}
