# A deployment that another configuration manages on the same Docker host.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

data "convex_deployment" "app" {
  name = "app"
}

resource "convex_env" "app" {
  deployment = data.convex_deployment.app.id

  variables = {
    ENABLE_RAG = "true"
  }
}

output "dashboard" {
  value = data.convex_deployment.app.urls.dashboard
}
