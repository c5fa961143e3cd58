terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

output "frontend" {
  value = provider::convex::coder_app_url({
    access_url = "https://coder.example.com" # data.coder_workspace.me.access_url
    wildcard   = "*.apps.example.com"        # CODER_WILDCARD_ACCESS_URL
    workspace  = "dev"                       # data.coder_workspace.me.name
    owner      = "ann"                       # data.coder_workspace_owner.me.name
    slug       = "frontend"                  # of the coder_app
  })
  # "https://frontend--dev--ann.apps.example.com"
}
