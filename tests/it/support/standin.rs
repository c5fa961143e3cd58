//! What only the stand-in does, and no real backend: it fails on demand.
//!
//! A test that needs it has `_on_the_standin` in its name, by which `tests/run` leaves it out
//! where other images are tested, and says so.

use super::docker::images;

/// An attribute `backend` with these faults from the start on; see the stand-in's README.
#[track_caller]
pub fn faulty(faults: &str) -> String {
    assert_named();
    format!(
        "backend = {{ image = {:?}, env = {{ STANDIN_FAULTS = {faults:?} }} }}",
        images().backend
    )
}

/// Demands that the test which runs has the name that such a test has.
#[track_caller]
pub fn assert_named() {
    // A thread that a test has started has no name.
    if let Some(name) = std::thread::current().name() {
        assert!(
            name.contains("_on_the_standin"),
            "{name} needs the stand-in: let its name end with _on_the_standin"
        );
    }
}
