# An app beside its deployment, on the machine that runs Terraform.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

resource "convex_deployment" "app" {
  name = "app"

  network = {
    publish = { api = 3210, site = 3211, dashboard = 6791 }
  }
}

resource "convex_env" "app" {
  deployment = convex_deployment.app.id
  auth       = { site_url = "http://localhost:5173" }
}

resource "convex_project" "app" {
  directory = "${path.root}/app"
  origins   = convex_deployment.app.origins
  url       = convex_deployment.app.urls.api
  admin_key = convex_deployment.app.admin_key
  site_url  = "http://localhost:5173"

  # Added to by default. Here it is written once and then left to whoever works
  # on the app.
  policies = {
    "package.json" = "create"
  }
}

output "next_steps" {
  description = "Install packages, deploy the functions, serve the page."
  value       = convex_project.app.next_steps
}
