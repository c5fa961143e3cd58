# One key pair for two deployments, replaced by changing a date.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

resource "convex_auth_keys" "app" {
  rotate_trigger = "2026-11"
}

resource "convex_deployment" "app" {
  for_each = toset(["blue", "green"])
  name     = each.key
}

# Sets JWT_PRIVATE_KEY, JWKS and what else @convex-dev/auth needs, in one batch.
resource "convex_env" "app" {
  for_each   = convex_deployment.app
  deployment = each.value.id

  auth = {
    private_key = convex_auth_keys.app.private_key_pem
    site_url    = "http://localhost:5173"
  }
}

# Names the pair that is in use, and may be seen by anybody.
output "key_in_use" {
  value = convex_auth_keys.app.thumbprint
}
