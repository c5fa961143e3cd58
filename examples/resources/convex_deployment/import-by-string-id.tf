terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

import {
  to = convex_deployment.app
  id = "app"
}

resource "convex_deployment" "app" {
  name = "app"

  network = {
    publish = { api = 3210, site = 3211, dashboard = 6791 }
  }
}
