# An app in a workspace's container, written through Docker. While the container
# is not there, as when the workspace is stopped, the files wait.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

variable "workspace_container" {
  description = "For example one(docker_container.workspace[*].id), which is null while the workspace is stopped."
  type        = string
}

variable "admin_key" {
  type      = string
  sensitive = true
}

resource "convex_project" "app" {
  directory = "/home/coder/app"
  admin_key = var.admin_key

  container = {
    id   = var.workspace_container
    user = "coder"
  }
}
