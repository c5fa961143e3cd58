# Deploys functions to a deployment that another configuration manages, with a
# key that is kept nowhere.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

ephemeral "convex_admin_key" "app" {
  deployment = "app"
}

resource "terraform_data" "functions" {
  triggers_replace = [for file in fileset(path.module, "convex/**") : filesha256("${path.module}/${file}")]

  provisioner "local-exec" {
    command = "npx convex deploy"

    environment = {
      CONVEX_SELF_HOSTED_URL       = "http://127.0.0.1:3210"
      CONVEX_SELF_HOSTED_ADMIN_KEY = ephemeral.convex_admin_key.app.admin_key
    }
  }
}
