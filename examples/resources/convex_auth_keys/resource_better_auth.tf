# For better-auth, whose variable JWKS has another form.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

variable "better_auth_secret" {
  type      = string
  sensitive = true
}

resource "convex_auth_keys" "app" {
  better_auth_secret = var.better_auth_secret
}

# In convex/auth.config.ts: getAuthConfigProvider({ jwks: process.env.JWKS })
# In convex/auth.ts:        convex({ authConfig, jwks: process.env.JWKS })
resource "convex_env" "app" {
  deployment = "app"

  variables = {
    SITE_URL = "http://localhost:5173"
  }

  secrets = {
    BETTER_AUTH_SECRET = { value = var.better_auth_secret }
    JWKS               = { value = convex_auth_keys.app.better_auth_jwks }
  }
}
