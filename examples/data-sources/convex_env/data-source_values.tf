# The values too, of a deployment anywhere, with a key that may only read.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

variable "admin_key" {
  type      = string
  sensitive = true
}

data "convex_env" "staging" {
  url            = "https://convex.staging.example.com"
  admin_key      = var.admin_key
  include_values = true
}

# The same variables elsewhere.
resource "convex_env" "preview" {
  deployment = "preview"
  secrets    = { for name in data.convex_env.staging.names : name => { value = data.convex_env.staging.values[name] } }
}
