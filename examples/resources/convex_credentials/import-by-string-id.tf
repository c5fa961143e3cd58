terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

import {
  to = convex_credentials.app
  id = "${path.module}/credentials"
}

# The imported secret stays until rotate_trigger asks for another.
resource "convex_credentials" "app" {
  instance_name = "my-app"
}
