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

resource "convex_env" "app" {
  deployment = "app"

  # A public key may be seen.
  variables = {
    JWKS = nonsensitive(provider::convex::jwks(var.jwt_private_key))
  }

  secrets = {
    JWT_PRIVATE_KEY = { value = var.jwt_private_key }
  }
}
