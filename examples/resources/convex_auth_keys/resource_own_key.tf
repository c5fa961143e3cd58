# A key that already exists, such as one that openssl has made.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

variable "jwt_private_key" {
  type      = string
  sensitive = true
}

resource "convex_auth_keys" "app" {
  private_key = var.jwt_private_key
}

# For a backend that Terraform does not manage.
output "jwks" {
  value = convex_auth_keys.app.jwks
}
