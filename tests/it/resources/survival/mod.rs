//! What a deployment survives: calls that fail, daemons and processes that
//! die, and being stopped, started and given away many times.

mod causes;
mod claims;
mod daemon;
mod full_disk;
mod looking;
mod many;
mod starting;
mod sweep;

use crate::support::docker::Name;

/// What Docker has of a deployment, in order.
fn objects(name: &Name) -> Vec<String> {
    let mut objects = name.objects();
    objects.sort();
    objects
}

/// What it has of one that runs, and nothing twice or left over.
fn one_of_each(name: &Name) -> Vec<String> {
    vec![
        format!("container {}", name.container("backend")),
        format!("container {}", name.container("dashboard")),
        format!("network {}", name.as_str()),
        format!("volume {}", name.volume()),
    ]
}
