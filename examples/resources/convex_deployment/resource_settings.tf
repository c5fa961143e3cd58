# A deployment behind a proxy, with commonly used settings.

terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

variable "running" {
  type    = bool
  default = true
}

locals {
  # Backend and dashboard must be of the same release. Default: the release that
  # this version of the provider was made for.
  release = "d2ca8533c52e2dbd8e55e20181988973dcbabe41"
}

resource "convex_deployment" "shop" {
  name          = "shop"
  instance_name = "shop-backend"

  # When false the containers are removed; the data and the keys stay.
  running = var.running

  # Where browsers reach it. A change is made in place.
  origins = {
    api       = "https://api.shop.example.com"
    site      = "https://site.shop.example.com"
    dashboard = "https://dashboard.shop.example.com"
  }

  backend = {
    image     = "ghcr.io/get-convex/convex-backend:${local.release}"
    memory_mb = 2048
    env = {
      REDACT_LOGS_TO_CLIENT = "true"
    }
  }

  dashboard = {
    image = "ghcr.io/get-convex/convex-dashboard:${local.release}"
  }

  # Ports on 127.0.0.1 of the Docker host, for the proxy there.
  network = {
    publish = { api = 13210, site = 13211, dashboard = 16791 }
  }

  # Without this the data outlives the deployment.
  volume = {
    on_destroy = "delete"
  }

  labels = {
    team = "shop"
  }

  # The first apply pulls the images.
  timeouts = {
    create = "15m"
  }
}
