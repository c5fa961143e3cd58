terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

output "dashboard" {
  value = provider::convex::dashboard_container({
    origins = { api = "https://api.convex.example.com" }
  })
  # image       = "ghcr.io/get-convex/convex-dashboard:…"
  # environment = { NEXT_PUBLIC_DEPLOYMENT_URL = "https://api.convex.example.com" }
  # ports       = { dashboard = 6791 }
  # health      = { port = 6791, path = "/", … }
  # user        = 1001
  # and more
}
