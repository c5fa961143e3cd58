# Convex by docker compose: Terraform makes the credentials and the file, and
# compose runs what is in it.
#
#   terraform output -raw compose >compose.yaml
#   (umask 077 && terraform output -raw env >.env)
#   docker compose up --detach --wait

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

variable "backend_image" {
  type        = string
  description = "Image of the backend. Null means the provider's default."
  default     = null
}

variable "dashboard_image" {
  type        = string
  description = "Image of the dashboard, of the same release as the backend's."
  default     = null
}

variable "ports" {
  type        = map(number)
  description = "Ports of this machine that lead to the containers."
  default     = { api = 3210, site = 3211, dashboard = 6791 }
}

resource "convex_credentials" "app" {
  instance_name = "my-app"
}

locals {
  origins = { for name, port in var.ports : name => "http://localhost:${port}" }

  # The secret of the instance is not among them. So nothing of this is secret,
  # and already the first plan shows all of it.
  containers = {
    backend = provider::convex::backend_container({
      image         = var.backend_image
      instance_name = convex_credentials.app.instance_name
      origins       = local.origins
    })
    dashboard = provider::convex::dashboard_container({
      image   = var.dashboard_image
      origins = local.origins
    })
  }

  # Variables whose values compose takes from the file .env.
  secret_names = {
    backend   = ["INSTANCE_SECRET"]
    dashboard = []
  }
}

output "compose" {
  value = yamlencode({
    name = "my-app"

    services = {
      for name, it in local.containers : name => {
        image             = it.image
        user              = tostring(it.user)
        ports             = [for port, inside in it.ports : "127.0.0.1:${var.ports[port]}:${inside}"]
        volumes           = [for volume, mount in it.mounts : "${volume}:${mount.path}"]
        restart           = "unless-stopped"
        stop_signal       = it.stop_signal
        stop_grace_period = "${it.stop_grace_seconds}s"

        environment = merge(
          # To compose a dollar sign begins a variable, and two are one.
          { for key, value in it.environment : key => replace(value, "$", "$$") },
          { for key in local.secret_names[name] : key => "$${${key}:?}" },
        )

        healthcheck = {
          test         = concat(["CMD"], it.health.command)
          interval     = "${it.health.interval_seconds}s"
          timeout      = "${it.health.timeout_seconds}s"
          retries      = it.health.retries
          start_period = "${it.health.start_period_seconds}s"
        }
      }
    }

    volumes = { for volume in keys(local.containers.backend.mounts) : volume => {} }
  })
}

output "env" {
  value     = provider::convex::dotenv_encode({ INSTANCE_SECRET = convex_credentials.app.instance_secret })
  sensitive = true
}

output "admin_key" {
  value     = convex_credentials.app.admin_key
  sensitive = true
}
