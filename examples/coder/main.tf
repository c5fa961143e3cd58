# A Coder template: each workspace is a container with a Convex deployment of
# its own beside it, on the same Docker host.

terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
    convex = {
      source = "coder-convex/convex"
    }
    docker = {
      source = "kreuzwerker/docker"
    }
  }
}

variable "docker_socket" {
  type        = string
  description = "Where Docker listens. Empty means DOCKER_HOST, else the local socket."
  default     = ""
}

variable "wildcard" {
  type        = string
  description = "The Coder server's CODER_WILDCARD_ACCESS_URL, such as *.apps.example.com. Templates cannot read it. Empty means that apps are below the access URL's own host."
  default     = ""
}

variable "image" {
  type        = string
  description = "The workspace's image, with Node and sudo."
  default     = "codercom/enterprise-node:ubuntu"
}

provider "docker" {
  host = var.docker_socket != "" ? var.docker_socket : null
}

provider "convex" {
  docker = {
    host = var.docker_socket
  }
}

data "coder_provisioner" "me" {}
data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

locals {
  coder = {
    access_url = data.coder_workspace.me.access_url
    wildcard   = var.wildcard
    workspace  = data.coder_workspace.me.name
    owner      = data.coder_workspace_owner.me.name
  }

  # Pages call the API and the site without Coder's own cookie, and Coder would
  # answer with its login page. So these two are open to whoever knows their
  # addresses, and Convex asks for its own keys and tokens.
  apps = {
    api       = { slug = "convex-api", port = 3210, health = "/version", share = "public" }
    site      = { slug = "convex-site", port = 3211, health = "/", share = "public" }
    dashboard = { slug = "convex", port = 6791, health = "/", share = "owner" }
  }
}

# No count: the data, the keys and this resource outlive a stop. It must not
# refer to the agent, which Coder would then take for a part of it.
resource "convex_deployment" "app" {
  name    = "coder-${data.coder_workspace.me.id}"
  running = data.coder_workspace.me.start_count > 0
  origins = provider::convex::coder_origins(local.coder)

  labels = {
    "coder.workspace_id" = data.coder_workspace.me.id
  }

  # The data goes when the workspace is deleted, as its home does. Without this
  # it stays.
  volume = {
    on_destroy = "delete"
  }

  # The first start may pull the images.
  timeouts = {
    create = "15m"
    update = "15m"
  }
}

resource "convex_env" "app" {
  deployment = convex_deployment.app.id

  variables = {
    ENABLE_RAG = "true"
  }

  auth = {
    site_url = provider::convex::coder_app_url(merge(local.coder, { slug = "frontend" }))
  }
}

resource "coder_agent" "main" {
  arch = data.coder_provisioner.me.arch
  os   = "linux"
}

# What the convex command line and a Vite frontend read.
resource "coder_env" "convex" {
  for_each = toset(["CONVEX_SELF_HOSTED_URL", "CONVEX_SELF_HOSTED_ADMIN_KEY", "VITE_CONVEX_URL"])
  agent_id = coder_agent.main.id
  name     = each.key
  value    = convex_deployment.app.agent_env[each.key]
}

# Coder's apps are ports of the workspace itself. This leads three of them to
# the deployment's containers.
resource "coder_script" "convex_ports" {
  agent_id     = coder_agent.main.id
  display_name = "Convex ports"
  run_on_start = true
  script       = <<-SCRIPT
    #!/bin/sh
    set -eu
    command -v socat >/dev/null || { sudo apt-get update && sudo apt-get install -y socat; }
    forward() {
      nohup socat "TCP-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr" "TCP:$2" >/dev/null 2>&1 </dev/null &
    }
    ${join("\n", [for key, app in local.apps : "forward ${app.port} ${trimprefix(convex_deployment.app.urls[key], "http://")}"])}
  SCRIPT
}

resource "coder_app" "convex" {
  for_each     = local.apps
  agent_id     = coder_agent.main.id
  slug         = each.value.slug
  display_name = each.key == "dashboard" ? "Convex Dashboard" : null
  hidden       = each.key != "dashboard"
  url          = "http://localhost:${each.value.port}"
  subdomain    = true
  share        = each.value.share

  healthcheck {
    url       = "http://localhost:${each.value.port}${each.value.health}"
    interval  = 5
    threshold = 12
  }
}

resource "coder_app" "frontend" {
  agent_id     = coder_agent.main.id
  slug         = "frontend"
  display_name = "Frontend"
  url          = "http://localhost:5173"
  subdomain    = true
}

resource "docker_volume" "home" {
  name = "coder-${data.coder_workspace.me.id}-home"

  lifecycle {
    ignore_changes = all
  }
}

resource "docker_container" "workspace" {
  count      = data.coder_workspace.me.start_count
  image      = var.image
  name       = "coder-${data.coder_workspace_owner.me.name}-${lower(data.coder_workspace.me.name)}"
  hostname   = data.coder_workspace.me.name
  entrypoint = ["sh", "-c", replace(coder_agent.main.init_script, "/localhost|127\\.0\\.0\\.1/", "host.docker.internal")]
  env        = ["CODER_AGENT_TOKEN=${coder_agent.main.token}"]

  # The deployment's own network, which has its name.
  networks_advanced {
    name = convex_deployment.app.id
  }

  host {
    host = "host.docker.internal"
    ip   = "host-gateway"
  }

  volumes {
    container_path = "/home/coder"
    volume_name    = docker_volume.home.name
  }
}
