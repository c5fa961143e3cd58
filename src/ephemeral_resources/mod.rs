//! Ephemeral resources: results that are stored nowhere.

mod admin_key;

pub use self::admin_key::AdminKeyEphemeral;
