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

# What starts the backend takes both from here, for example as the secret of a
# Kubernetes deployment or the environment of a task.
output "backend_environment" {
  value = {
    INSTANCE_NAME   = convex_credentials.app.instance_name
    INSTANCE_SECRET = convex_credentials.app.instance_secret
  }
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
