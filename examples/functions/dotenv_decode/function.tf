terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

# Such as TF_VAR_env_file="$(cat .env)".
variable "env_file" {
  type      = string
  sensitive = true
}

locals {
  env = provider::convex::dotenv_decode(var.env_file)
}

# The names may be seen in plans, the values not.
resource "convex_env" "app" {
  deployment = "app"
  secrets    = { for name in nonsensitive(keys(local.env)) : name => { value = local.env[name] } }
}
