//! What a build makes of a workspace.

/// What a build makes of a workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transition {
    /// It runs, and people open its apps. Assumed wherever Coder does not say otherwise.
    #[default]
    Start,
    /// It is stopped.
    Stop,
    /// It is deleted: everything that it has is destroyed.
    Delete,
}

impl Transition {
    /// The environment variable in which Coder's provisioner tells it (coder/coder,
    /// `provision.go`).
    pub const VARIABLE: &str = "CODER_WORKSPACE_TRANSITION";

    /// Takes the value of [`Transition::VARIABLE`].
    #[must_use]
    pub fn read(value: Option<&str>) -> Self {
        match value {
            Some("stop") => Self::Stop,
            // The provisioner says the first, Coder's API the second.
            Some("destroy" | "delete") => Self::Delete,
            _ => Self::Start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Transition;

    #[test]
    fn only_coders_own_words_end_a_workspace() {
        assert_eq!(Transition::read(Some("stop")), Transition::Stop);
        for value in ["destroy", "delete"] {
            assert_eq!(Transition::read(Some(value)), Transition::Delete);
        }
        for value in [None, Some(""), Some("start"), Some("STOP")] {
            assert_eq!(Transition::read(value), Transition::Start, "{value:?}");
        }
    }
}
