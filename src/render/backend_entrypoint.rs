//! The start script of a backend that has the signing key in its own environment.

/// Where the script lies in the container.
pub const SCRIPT_PATH: &str = "/convex-backend-entrypoint.sh";

/// Where the script looks for the key in the container: PKCS#8 PEM.
pub const KEY_PATH: &str = "/jwt_private_key.pem";

/// Tells this script from another one: to be raised with each change of it, since a backend that
/// runs has to be made anew to start with it.
pub const VERSION: u32 = 1;

/// The script. It hands over to the start script of the image, so that the backend is started as
/// the image means it, with credentials, flags and database of its release.
pub const SCRIPT: &str = include_str!("project/templates/convex-backend-entrypoint.sh");
