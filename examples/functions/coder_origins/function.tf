terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

output "origins" {
  value = provider::convex::coder_origins({
    access_url = "https://coder.example.com" # data.coder_workspace.me.access_url
    wildcard   = "*.apps.example.com"        # CODER_WILDCARD_ACCESS_URL
    workspace  = "dev"                       # data.coder_workspace.me.name
    owner      = "ann"                       # data.coder_workspace_owner.me.name
  })
  # api       = "https://convex-api--dev--ann.apps.example.com"
  # site      = "https://convex-site--dev--ann.apps.example.com"
  # dashboard = "https://convex--dev--ann.apps.example.com"
}
