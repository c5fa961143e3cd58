# A script for the workspace, which makes the app ready at each start. The admin
# key comes from the agent's environment.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

data "convex_project" "app" {
  directory = "~/app"
  pattern   = "ai-rag"
}

output "install_script" {
  description = "For the `script` of a coder_script."
  value       = data.convex_project.app.install_script
}
