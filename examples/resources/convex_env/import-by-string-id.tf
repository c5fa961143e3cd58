terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

variable "openai_key" {
  type      = string
  sensitive = true
}

import {
  to = convex_env.app
  id = "app/OPENAI_API_KEY"
}

resource "convex_env" "app" {
  deployment = "app"

  # Imported variables are secrets: nobody has said yet which may be shown.
  secrets = {
    OPENAI_API_KEY = { value = var.openai_key }
  }
}
