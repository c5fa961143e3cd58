//! The protocol, spoken by Terraform and by a client that is not Terraform.

mod cores;
mod process;
