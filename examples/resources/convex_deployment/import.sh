# By name. The provider finds what it made for that name on the Docker host.
terraform import convex_deployment.app app
