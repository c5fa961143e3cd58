//! What a build makes of a workspace.

/// What a build makes of a workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transition {
    /// It runs, and people open its apps. Assumed wherever Coder does not say otherwise.
    #[default]
    Start,
    /// It is stopped or deleted.
    End,
}

impl Transition {
    /// The environment variable in which Coder's provisioner tells it (coder/coder,
    /// `provision.go`).
    pub const VARIABLE: &str = "CODER_WORKSPACE_TRANSITION";

    /// Takes the value of [`Transition::VARIABLE`].
    #[must_use]
    pub fn read(value: Option<&str>) -> Self {
        match value {
            Some("stop" | "destroy") => Self::End,
            _ => Self::Start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Transition;

    #[test]
    fn only_stop_and_destroy_end_a_workspace() {
        for value in ["stop", "destroy"] {
            assert_eq!(Transition::read(Some(value)), Transition::End);
        }
        for value in [None, Some(""), Some("start"), Some("STOP")] {
            assert_eq!(Transition::read(value), Transition::Start, "{value:?}");
        }
    }
}
