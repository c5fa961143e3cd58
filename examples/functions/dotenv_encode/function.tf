terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

output "env_file" {
  value = provider::convex::dotenv_encode({
    PORT     = 3000
    GREETING = "it's me"
    MODEL    = jsonencode({ name = "small" })
  })
  # GREETING="it's me"
  # MODEL='{"name":"small"}'
  # PORT=3000
}
