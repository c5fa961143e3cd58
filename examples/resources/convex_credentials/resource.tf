# A backend that Kubernetes runs, with keys that are valid before it has started.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

resource "convex_credentials" "app" {
  instance_name  = "my-app"
  rotate_trigger = "2026-11"
}

# What starts the backend takes the rest from here, for example as container and
# secret of a Kubernetes deployment.
locals {
  backend = provider::convex::backend_container({
    instance_name = convex_credentials.app.instance_name
    origins = {
      api  = "https://api.convex.example.com"
      site = "https://site.convex.example.com"
    }
  })
}

output "backend" {
  value = local.backend
}

output "backend_secrets" {
  value     = { INSTANCE_SECRET = convex_credentials.app.instance_secret }
  sensitive = true
}

# And what uses it takes a key.
resource "convex_env" "app" {
  url       = "https://api.convex.example.com"
  admin_key = convex_credentials.app.admin_key

  variables = {
    ENABLE_RAG = "true"
  }
}
