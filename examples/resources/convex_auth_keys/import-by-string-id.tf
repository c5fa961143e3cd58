terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

import {
  to = convex_auth_keys.app
  id = "${path.module}/jwt_private_key.pem"
}

# The imported key stays until rotate_trigger or bits asks for another.
resource "convex_auth_keys" "app" {}
