//! The domain, held to reference data.
