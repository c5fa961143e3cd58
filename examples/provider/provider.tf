terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

# Empty means the variable DOCKER_HOST, else the socket of this machine.
variable "docker_socket" {
  type    = string
  default = ""
}

provider "convex" {
  docker = {
    host = var.docker_socket
  }
}
