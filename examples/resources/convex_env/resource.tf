# The variables of a deployment of this configuration, set through Docker.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

variable "openai_key" {
  type      = string
  sensitive = true
}

resource "convex_deployment" "app" {
  name = "app"

  network = {
    publish = { api = 3210, site = 3211, dashboard = 6791 }
  }
}

resource "convex_env" "app" {
  deployment = convex_deployment.app.id

  variables = {
    ENABLE_RAG = "true"
  }

  # A plan shows which of these change, and no value.
  secrets = {
    OPENAI_API_KEY = { value = var.openai_key }
  }

  # What @convex-dev/auth needs: a key pair, made once, and the issuer of
  # tokens, which is the deployment's site origin.
  auth = {
    site_url = "http://localhost:5173"
  }
}
