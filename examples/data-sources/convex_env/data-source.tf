# What variables a deployment has, and a check that one is set.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

data "convex_env" "app" {
  deployment = "app"
}

check "variables" {
  assert {
    # A deployment that is stopped tells no names.
    condition     = !data.convex_env.app.running || contains(coalesce(data.convex_env.app.names, []), "OPENAI_API_KEY")
    error_message = "OPENAI_API_KEY is not set, so answers fail."
  }
}
