# The variables of any Convex deployment, by its URL and a key for it.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

variable "deploy_key" {
  type      = string
  sensitive = true
}

resource "convex_env" "production" {
  url       = "https://happy-animal-123.convex.cloud"
  admin_key = var.deploy_key

  variables = {
    SUPPORT_ADDRESS = "help@shop.example.com"
  }
}
