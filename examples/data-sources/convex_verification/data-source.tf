# Every plan and apply says what is wrong with the deployment, and what to do.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

resource "convex_deployment" "app" {
  name = "app"
}

data "convex_verification" "app" {
  deployment = convex_deployment.app.id
}

check "convex" {
  assert {
    condition = data.convex_verification.app.passed
    error_message = join("\n", [
      for name in data.convex_verification.app.failed :
      "${name}: ${data.convex_verification.app.checks[name].detail}. ${data.convex_verification.app.checks[name].remedy}"
    ])
  }
}
