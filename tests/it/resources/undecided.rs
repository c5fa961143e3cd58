//! Attributes that may turn out to be null, as a module passes them on.

use super::config;
use crate::support::{on_each_core, terraform::Project};

/// Every pair of attributes of which only one may be given, from variables that
/// nothing is known of while Terraform validates.
const PASSED_ON: &str = r#"
    variable "a" {
      type    = string
      default = null
    }
    variable "b" {
      type    = string
      default = null
    }
    variable "version_b" {
      type    = number
      default = null
    }
    variable "with" {
      type    = bool
      default = false
    }
    provider "convex" {
      docker = {
        registries = {
          "registry.example.com" = { username = "u", password = "p", identity_token = var.a }
        }
      }
    }
    resource "convex_deployment" "whole" {
      name     = "whole"
      database = var.with ? { url = "postgres://u:p@db" } : null
      storage  = var.with ? { s3 = null } : null
      network  = var.with ? { container = "c" } : null
    }
    resource "convex_deployment" "parts" {
      name = "parts"
      database = {
        url            = var.a != null ? var.a : "postgres://u:p@db"
        url_wo         = var.b
        url_wo_version = var.version_b
      }
      storage = {
        s3 = {
          region                       = "auto"
          exports_bucket               = "exports"
          files_bucket                 = "files"
          modules_bucket               = "modules"
          search_bucket                = "search"
          snapshot_imports_bucket      = "imports"
          access_key_id                = "id"
          secret_access_key            = var.a != null ? var.a : "hunter2-hunter2"
          secret_access_key_wo         = var.b
          secret_access_key_wo_version = var.version_b
        }
      }
      restore_from = {
        snapshot = var.a != null ? var.a : "backup.zip"
        volume   = var.b
      }
      network = {
        container = var.a
        networks  = var.a == null ? ["n"] : null
      }
    }
    resource "convex_auth_keys" "keys" {
      better_auth_secret    = var.a
      better_auth_secret_wo = var.b
    }
    resource "convex_env" "env" {
      deployment = var.with ? null : "parts"
      url        = var.a
      admin_key  = var.b
    }
    ephemeral "convex_admin_key" "key" {
      deployment      = var.a
      instance_name   = var.a == null ? "a" : null
      instance_secret = var.a == null ? "SECRET" : null
    }
    data "convex_verification" "app" {
      directory  = path.module
      deployment = var.a
      url        = var.b
    }
"#;

on_each_core! {
    fn what_may_turn_out_to_be_null_is_not_refused_before_it_is_known(core) {
        let blocks = PASSED_ON.replace("SECRET", &"0".repeat(64));
        let project = Project::new(core, &config(&blocks));
        project.validate().ok();
        project.plan().ok();
        // What it then turns out to be is looked at.
        project.run(&["plan", "-no-color", "-input=false", "-var=b=postgres://u:p@db"]).fails_with(&[
            "Both url and url_wo are given",
            "Both secret_access_key and secret_access_key_wo are given",
            "Both snapshot and volume are given",
        ]);
        project.run(&["plan", "-no-color", "-input=false", "-var=version_b=1"]).fails_with(&["Nothing to pin"]);
    }
}
