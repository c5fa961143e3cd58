//! From configuration and prior state to a plan.

pub(crate) mod conformance;
mod rules;
mod view;

pub use self::view::{Config, Known, Plan};
pub(crate) use self::{
    rules::{changed_replacing, propose, strip_write_only, with_write_only},
    view::PlanParts,
};
