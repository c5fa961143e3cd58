//! Data sources on real Docker, read by real Terraform.

mod env;
