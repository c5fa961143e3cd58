//! The tested set: the releases of Convex and its packages that this version is made for, and
//! that it pins unless told otherwise.
//!
//! A test fails once the set is too old, or if docs, examples and tests name another one. Its
//! message says how to renew the set.

/// An official release of the self-hosted backend and its dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The revision of convex-backend it was built from, which is the tag of both images.
    pub revision: &'static str,
    /// The day of its release.
    pub day: &'static str,
    /// The version of its database's schema, where its source or its users tell.
    pub schema: Option<u32>,
}

/// Official releases that were seen in use, the oldest first.
pub const RELEASES: [Release; 6] = [
    release("33cef775a8a6228cbacee4a09ac2c4073d62ed13", "2025-08-05"),
    release("4d3b0a5de955a258e70e3813bbff486051d88820", "2025-09-12"),
    release("5f66740ae8dd506577d27294adc55b81e4fbe91b", "2026-02-21"),
    Release {
        schema: Some(126),
        ..release("903b8b96c4bceb34c62e366cf36e8f4774955e6b", "2026-06-26")
    },
    release("5c7cb5bc7db457290f1769f95f1d1340912f7fd7", "2026-09-28"),
    RELEASE,
];

/// The release of both images that runs if none is given.
///
/// The backend's tag is known from independent users, who note its day and its digest,
/// `sha256:0878dd7d51513b9bc51bc656ee3fcb229e166b93bd0abc42654e1252fd93a3e3`. The dashboard's tag
/// is inferred: one job of upstream's workflow `release_self_hosted_images.yml` tags both images
/// with the same revision. The schema is between 128 (2026-08-22) and 133 (2026-10-07).
pub const RELEASE: Release = release("d2ca8533c52e2dbd8e55e20181988973dcbabe41", "2026-10-01");

/// The range of the package `convex` that a new app takes. Version 1.49 needs Node.js 22.
pub const CONVEX: &str = "~1.48.0";

/// The same of `@convex-dev/auth`.
pub const CONVEX_AUTH: &str = "^0.0.95";

/// The same of npm-run-all2, the maintained successor of npm-run-all with the same commands.
/// Version 9 needs a newer Node.js than everything else here.
pub const NPM_RUN_ALL: &str = "^8.0.4";

/// The versions of Node.js that all packages of a new app run on, as npm writes it: `convex` 1.48
/// takes 20 or newer, Vite 8 and its plugin `^20.19.0 || >=22.12.0`, npm-run-all2 8
/// `^20.5.0 || >=22.0.0`.
pub const NODE: &str = "^20.19.0 || >=22.12.0";

/// The same for people.
pub const NODE_IN_WORDS: &str = "22.12 or newer, or 20.19 or newer of 20";

const fn release(revision: &'static str, day: &'static str) -> Release {
    Release {
        revision,
        day,
        schema: None,
    }
}
