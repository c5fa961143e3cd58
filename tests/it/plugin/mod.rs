//! The protocol, spoken by a client that is not Terraform.
