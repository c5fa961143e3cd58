terraform {
  required_providers {
    convex = {
      source = "coder-convex/convex"
    }
  }
}

output "url" {
  value = provider::convex::postgres_url("postgres://convex:pa%24s@db.example.com:5432/app?sslmode=require")
  # "postgres://convex:pa%24s@db.example.com:5432?sslmode=require"
}
