# A deployment on the Docker of this machine, reached on its own ports.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

resource "convex_deployment" "app" {
  name = "app"

  # The default origins are http://localhost with these ports.
  network = {
    publish = { api = 3210, site = 3211, dashboard = 6791 }
  }
}

output "dashboard" {
  value = convex_deployment.app.urls.dashboard
}

# To log in to the dashboard: terraform output -raw admin_key
output "admin_key" {
  value     = convex_deployment.app.admin_key
  sensitive = true
}
