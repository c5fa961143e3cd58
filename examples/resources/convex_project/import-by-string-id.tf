terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

import {
  to = convex_project.app
  id = "/home/me/app"
}

resource "convex_project" "app" {
  directory = "/home/me/app"
}
