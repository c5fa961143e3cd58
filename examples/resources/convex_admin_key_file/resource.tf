terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

resource "convex_deployment" "app" {
  name             = "app"
  secrets_in_state = false
}

# On the machine that runs Terraform. With `container` it is in a workspace:
#
#   container = { id = one(docker_container.workspace[*].id), user = "coder" }
#
# There, `export CONVEX_SELF_HOSTED_ADMIN_KEY=$(cat ~/.convex/admin_key)` is all
# that the convex command line needs.
resource "convex_admin_key_file" "app" {
  deployment = convex_deployment.app.id
  path       = "/home/coder/.convex/admin_key"
}
