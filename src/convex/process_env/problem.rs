//! What can be wrong with a variable somebody adds to the environment of a process.

/// Variables of which the start script wants all or none.
pub(super) const S3: [&str; 6] = [
    "AWS_REGION",
    "S3_STORAGE_EXPORTS_BUCKET",
    "S3_STORAGE_FILES_BUCKET",
    "S3_STORAGE_MODULES_BUCKET",
    "S3_STORAGE_SEARCH_BUCKET",
    "S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET",
];

/// Where the backend finds the data volume.
pub(super) const DATA_DIR: &str = "/convex/data/";

/// Why a variable cannot be added. No variant holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraEnvError {
    /// Not a name.
    #[error(
        "{name:?} is no name of an environment variable. Write letters, digits and underscores, not \
         beginning with a digit."
    )]
    Name {
        /// The refused name.
        name: String,
    },
    /// A NUL character in the value.
    #[error(
        "The value of {name} contains a NUL character, which no environment can carry. Remove it."
    )]
    Nul {
        /// The name.
        name: String,
    },
    /// A name that follows from other settings.
    #[error("{name} follows from {decided_by}. Set that, and leave the variable out.")]
    Owned {
        /// The name.
        name: String,
        /// What decides the value.
        decided_by: &'static str,
    },
    /// A flag with a value that would turn it on against its meaning, or an empty one.
    #[error(
        "Any text, also \"false\", turns {name} on. Write \"true\" to turn it on; to turn it off, \
         leave it out."
    )]
    Flag {
        /// The name.
        name: String,
    },
    /// `DISABLE_BEACON` with anything but "true".
    #[error(
        "Any text, also \"false\", turns {name} on, and an empty one keeps the backend from \
         starting. Write \"true\" to disable the beacon; else leave the variable out."
    )]
    Beacon {
        /// The name.
        name: String,
    },
    /// A variable of which only "true" counts, with some other spelling.
    #[error(
        "Only the exact text \"true\" turns {name} on, and all else is ignored. Write \"true\" or \"false\"."
    )]
    OnlyTrue {
        /// The name.
        name: String,
    },
    /// A time limit that backends no longer read.
    #[error(
        "Backends since July 2026 ignore {name}. Set HTTP_SERVER_TIMEOUT_SECONDS, \
         V8_ACTION_USER_TIMEOUT_SECS and NODE_ACTION_USER_TIMEOUT_SECS instead."
    )]
    Removed {
        /// The name.
        name: String,
    },
    /// Some of the variables for S3 but not all.
    #[error(
        "{name} is set but {} is not, so the backend would silently store on its volume instead of \
         S3, for ever. Set all of {}.", .missing.join(", "), S3.join(", ")
    )]
    IncompleteS3 {
        /// The first of those that are set.
        name: String,
        /// Those that are missing.
        missing: Vec<&'static str>,
    },
    /// The dashboard's prefilled admin key.
    #[error(
        "The dashboard shows {name} to everybody who can open it. Leave it out, and paste the key when \
         the dashboard asks. If its page is behind a login, give the key on purpose: by \
         `dashboard = {{ prefill_admin_key = true }}` of convex_deployment, or by `admin_key` of \
         provider::convex::dashboard_container."
    )]
    AdminKey {
        /// The name.
        name: String,
    },
}

impl ExtraEnvError {
    /// The variable at fault.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Name { name }
            | Self::Nul { name }
            | Self::Owned { name, .. }
            | Self::Flag { name }
            | Self::Beacon { name }
            | Self::OnlyTrue { name }
            | Self::Removed { name }
            | Self::IncompleteS3 { name, .. }
            | Self::AdminKey { name } => name,
        }
    }
}

/// What a user should know of a variable that is taken all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraEnvWarning {
    /// A database is chosen behind the back of the deployment.
    #[error(
        "{name} chooses the database without any check of its URL, and whoever sees the variable \
         sees the password in it. The backend does not move data from one database to another."
    )]
    Database {
        /// The name.
        name: String,
    },
    /// A variable that functions read, and the backend does not.
    #[error(
        "{name} is set for the backend's process, where no function can read it. Set it among the \
         variables of the deployment."
    )]
    ForFunctions {
        /// The name.
        name: String,
    },
    /// A database connection that may be in the open.
    #[error(
        "{name} lets the backend speak to a database server without TLS, so the password's proof and \
         all data can then be read on the way."
    )]
    NoTls {
        /// The name.
        name: String,
    },
    /// Data outside the volume.
    #[error("{name} is not below {DATA_DIR}, so what is stored there is lost with the next image.")]
    OutsideVolume {
        /// The name.
        name: String,
    },
}

impl ExtraEnvWarning {
    /// The variable in question.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Database { name }
            | Self::ForFunctions { name }
            | Self::NoTls { name }
            | Self::OutsideVolume { name } => name,
        }
    }
}
