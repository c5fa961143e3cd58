# A self-hosted Convex backend with its dashboard, on the Docker of this machine.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

# Null means the release that the provider was made for.
variable "backend_image" {
  type    = string
  default = null
}

variable "dashboard_image" {
  type    = string
  default = null
}

resource "convex_deployment" "app" {
  name      = "quickstart"
  backend   = { image = var.backend_image }
  dashboard = { image = var.dashboard_image }

  # On 127.0.0.1 of this machine, at the ports the default origins have.
  network = {
    publish = { api = 3210, site = 3211, dashboard = 6791 }
  }
}

resource "convex_env" "app" {
  deployment = convex_deployment.app.id

  variables = {
    ENABLE_RAG = "true"
  }

  secrets = {
    OPENAI_API_KEY = { value = "sk-replace-me" }
  }

  # Keys for @convex-dev/auth, made once and set in the same request.
  auth = {
    site_url = "http://localhost:5173"
  }
}

output "url" {
  description = "For CONVEX_SELF_HOSTED_URL."
  value       = convex_deployment.app.urls.api
}

output "dashboard" {
  value = convex_deployment.app.urls.dashboard
}

output "admin_key" {
  description = "For CONVEX_SELF_HOSTED_ADMIN_KEY, and to log in to the dashboard."
  value       = convex_deployment.app.admin_key
  sensitive   = true
}

output "env_local" {
  description = "A .env.convex.local for your project."
  value       = convex_deployment.app.env_local
  sensitive   = true
}
