terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

# 64 hexadecimal digits, as `openssl rand -hex 32` prints them.
variable "instance_secret" {
  type      = string
  sensitive = true
}

resource "convex_deployment" "app" {
  name            = "app"
  instance_secret = var.instance_secret
}

# A key to look at the data with, and to change nothing.
output "read_only_key" {
  value     = provider::convex::admin_key(convex_deployment.app.instance_name, var.instance_secret, "read_only")
  sensitive = true
}
