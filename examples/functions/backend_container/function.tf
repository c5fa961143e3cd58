terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

variable "database_url" {
  type      = string
  sensitive = true
}

resource "convex_credentials" "app" {
  instance_name = "my-app"
}

locals {
  backend = provider::convex::backend_container({
    instance_name = convex_credentials.app.instance_name
    database      = { url = var.database_url, max_connections = 10 }
    env           = { RUST_LOG = "info,convex=debug" }

    origins = {
      api  = "https://api.convex.example.com"
      site = "https://site.convex.example.com"
    }
  })
}

# Its URL is sensitive, and so is all that comes of it. This part has no secret.
output "environment" {
  value = nonsensitive(local.backend.environment)
  # CONVEX_CLOUD_ORIGIN        = "https://api.convex.example.com"
  # CONVEX_SITE_ORIGIN         = "http://127.0.0.1:3211", the issuer of tokens
  # INSTANCE_NAME              = "my-app"
  # POSTGRES_MAX_CONNECTIONS   = "10"
  # RUST_LOG                   = "info,convex=debug"
  # and a few more
}

# For a Kubernetes secret, a task's secrets, or an env file of mode 0600.
output "secret_environment" {
  value = merge(local.backend.secret_environment, {
    INSTANCE_SECRET = convex_credentials.app.instance_secret
  })
  sensitive = true
}
