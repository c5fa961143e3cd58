# Both providers are mocked, so no Coder and no Docker is needed. Functions are
# not: the addresses are those that the convex provider computes.

mock_provider "coder" {
  mock_data "coder_workspace" {
    defaults = {
      id          = "11111111-2222-3333-4444-555555555555"
      name        = "dev"
      access_url  = "https://coder.example.com"
      start_count = 1
    }
  }

  mock_data "coder_workspace_owner" {
    defaults = {
      name = "ann"
    }
  }
}

mock_provider "convex" {
  mock_resource "convex_deployment" {
    defaults = {
      id            = "coder-11111111-2222-3333-4444-555555555555"
      admin_key     = "app|01ab"
      database_kind = "sqlite"

      urls = {
        api       = "http://localhost:1001"
        site      = "http://localhost:1002"
        dashboard = "http://localhost:1003"
      }

      agent_env = {
        CONVEX_CLOUD_ORIGIN          = "a"
        CONVEX_DEPLOYMENT_URL        = "b"
        CONVEX_SELF_HOSTED_ADMIN_KEY = "app|01ab"
        CONVEX_SELF_HOSTED_URL       = "http://127.0.0.1:3210"
        CONVEX_SITE_ORIGIN           = "c"
        CONVEX_SITE_URL              = "d"
        JWT_ISSUER                   = "e"
        VITE_CONVEX_SITE_URL         = "c"
        VITE_CONVEX_URL              = "f"
      }
    }
  }

  mock_data "convex_project" {
    defaults = {
      install_script = "#!/usr/bin/env bash\n"
    }
  }
}

variables {
  agent_id          = "agent"
  network_container = "0123456789ab"
  wildcard          = "*.apps.example.com"
}

run "required_inputs_are_enough" {
  assert {
    condition     = convex_deployment.this.name == "coder-11111111-2222-3333-4444-555555555555"
    error_message = "The deployment must be named by the ID of the workspace."
  }
  assert {
    condition     = convex_deployment.this.running && convex_deployment.this.network.container == "0123456789ab"
    error_message = "It must run in the network of the workspace's container."
  }
  assert {
    condition = output.origins == {
      api       = "https://convex-api--dev--ann.apps.example.com"
      site      = "https://convex-site--dev--ann.apps.example.com"
      dashboard = "https://convex--dev--ann.apps.example.com"
    }
    error_message = "The addresses must follow from wildcard, slugs, workspace and owner."
  }
  assert {
    condition     = convex_deployment.this.database == null && convex_deployment.this.volume.on_destroy == "delete"
    error_message = "By default the data is on the volume, and goes with the workspace."
  }
  assert {
    condition     = convex_env.this.deployment == convex_deployment.this.id && convex_env.this.auth.site_url == "http://localhost:5173"
    error_message = "The variables for signing in must be set on this deployment."
  }
  assert {
    condition     = length(coder_script.deploy) == 0
    error_message = "Nothing is deployed unless an app is named."
  }
  assert {
    condition     = output.deployment == convex_deployment.this.id && nonsensitive(output.admin_key) == "app|01ab"
    error_message = "The outputs must be those of the deployment."
  }
}

run "the_apps_are_ports_of_the_workspace" {
  assert {
    condition     = { for key, app in coder_app.this : key => app.url } == { api = "http://localhost:1001", site = "http://localhost:1002", dashboard = "http://localhost:1003" }
    error_message = "The apps must lead to the ports of the containers."
  }
  assert {
    condition     = { for key, app in coder_app.this : key => app.slug } == { api = "convex-api", site = "convex-site", dashboard = "convex" }
    error_message = "The slugs must be those of the addresses."
  }
  assert {
    condition     = { for key, app in coder_app.this : key => app.share } == { api = "public", site = "public", dashboard = "owner" }
    error_message = "Only the API and the site are public."
  }
  assert {
    condition     = [for key, app in coder_app.this : key if !app.hidden] == ["dashboard"] && alltrue([for app in coder_app.this : app.subdomain && app.agent_id == "agent"])
    error_message = "The dashboard alone is shown, and all have hosts of their own."
  }
  assert {
    condition     = [for key, app in coder_app.this : key if app.display_name != null || app.icon != null] == ["dashboard"] && alltrue([for app in coder_app.this : app.open_in == "tab"])
    error_message = "Only an app that is shown has a name and an icon, and each opens in a tab."
  }
  assert {
    condition     = one(coder_app.this["api"].healthcheck).url == "http://localhost:1001/version"
    error_message = "The API's health is its version."
  }
}

run "the_agent_gets_the_variables_of_the_deployment" {
  assert {
    condition     = length(coder_env.this) == 9 && alltrue([for name, env in coder_env.this : env.name == name])
    error_message = "Each variable must have its own name."
  }
  assert {
    condition     = nonsensitive(coder_env.this["CONVEX_SELF_HOSTED_ADMIN_KEY"].value) == "app|01ab"
    error_message = "The key must be that of the deployment."
  }
}

run "empty_and_null_are_the_same" {
  variables {
    agent_name    = null
    frontend_slug = null
    database_url  = ""
    app_directory = null
    images        = { backend = "", dashboard = null }
  }

  assert {
    condition     = convex_deployment.this.backend.image != "" && convex_deployment.this.dashboard.image != "" && convex_deployment.this.database == null
    error_message = "What is empty must be left to the provider."
  }
  assert {
    condition     = convex_env.this.auth.site_url == "http://localhost:5173" && length(coder_script.deploy) == 0
    error_message = "What is null must be the default."
  }
}

run "the_workspace_knows_the_domain_of_its_apps" {
  assert {
    condition     = coder_env.vite[0].name == "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS" && coder_env.vite[0].value == ".apps.example.com"
    error_message = "Vite must serve pages at the apps of the workspace."
  }
  assert {
    condition     = coder_script.addresses[0].run_on_start && strcontains(coder_script.addresses[0].script, "host#--dev--ann")
    error_message = "A wildcard that is not Coder's own must be noticed."
  }
}

run "an_upgrade_has_a_snapshot_unless_it_is_declined" {
  assert {
    condition     = convex_deployment.this.upgrade.snapshot
    error_message = "Data is exported before another release gets it."
  }
}

run "what_the_deployment_can_do_the_module_can" {
  variables {
    backend                   = { env = { DISABLE_BEACON = "true" }, memory_mb = 2048, cpus = 1.5 }
    dashboard                 = { memory_mb = 256 }
    images                    = { backend = "mirror/backend:1", dashboard = "mirror/dashboard:1" }
    upgrade                   = { snapshot = false, policy = "keep" }
    restore_from              = { volume = "other-data" }
    internal_origins          = true
    storage_secret_access_key = "s3cr3t"
    storage = {
      region                  = "auto"
      endpoint                = "http://minio:9000"
      path_style              = true
      access_key_id           = "id"
      exports_bucket          = "app-exports"
      files_bucket            = "app-files"
      modules_bucket          = "app-modules"
      search_bucket           = "app-search"
      snapshot_imports_bucket = "app-imports"
    }
  }

  assert {
    condition     = convex_deployment.this.backend.env == tomap({ DISABLE_BEACON = "true" }) && convex_deployment.this.backend.memory_mb == 2048 && convex_deployment.this.backend.image == "mirror/backend:1"
    error_message = "The backend must have its environment, its limits and its image."
  }
  assert {
    condition     = convex_deployment.this.dashboard.memory_mb == 256 && convex_deployment.this.dashboard.image == "mirror/dashboard:1"
    error_message = "The dashboard must have its limits and its image."
  }
  assert {
    condition     = !convex_deployment.this.upgrade.snapshot && convex_deployment.this.upgrade.policy == "keep" && convex_deployment.this.restore_from.volume == "other-data" && convex_deployment.this.internal_origins
    error_message = "The template decides about upgrades, the first data and origins."
  }
  assert {
    condition     = convex_deployment.this.storage.s3.endpoint == "http://minio:9000" && nonsensitive(convex_deployment.this.storage.s3.secret_access_key) == "s3cr3t"
    error_message = "Files must be in the buckets."
  }
}

run "secrets_stay_out_of_the_state_on_request" {
  variables {
    secrets_in_state = false
    app_directory    = "~/app"
    database_url     = "postgres://u:p@db.example.com"
    secrets          = { OPENAI_API_KEY = "sk-1" }
  }

  assert {
    condition     = !convex_deployment.this.secrets_in_state && convex_deployment.this.database.url == null && convex_env.this.secrets["OPENAI_API_KEY"].value == null
    error_message = "Secrets must be given by write-only attributes."
  }
  assert {
    condition     = !contains(keys(coder_env.this), "CONVEX_SELF_HOSTED_ADMIN_KEY") && length(coder_env.this) == 8
    error_message = "The agent's environment must not hold the key."
  }
  assert {
    condition     = convex_admin_key_file.this[0].path == "/home/coder/.convex/admin_key" && convex_admin_key_file.this[0].container.user == "coder"
    error_message = "A file in the workspace must hold the key."
  }
  assert {
    condition     = startswith(coder_script.deploy[0].script, "#!/usr/bin/env bash") && strcontains(coder_script.deploy[0].script, "cat '/home/coder/.convex/admin_key'")
    error_message = "The deploy must read the key from that file."
  }
}

run "slugs_are_named_once" {
  variables {
    slugs         = { api = "api", dashboard = "db" }
    share         = { api = "authenticated" }
    agent_name    = "main"
    frontend_slug = "web"
  }

  assert {
    condition     = coder_app.this["api"].slug == "api" && output.origins.api == "https://api--main--dev--ann.apps.example.com"
    error_message = "A slug must be the same in the app and in its address."
  }
  assert {
    condition     = coder_app.this["site"].slug == "convex-site" && output.origins.site == "https://convex-site--main--dev--ann.apps.example.com"
    error_message = "A slug that is not given keeps its default."
  }
  assert {
    condition     = coder_app.this["api"].share == "authenticated" && coder_app.this["site"].share == "public"
    error_message = "What is not given of share keeps its default."
  }
  assert {
    condition     = convex_env.this.auth.site_url == "https://web--main--dev--ann.apps.example.com"
    error_message = "After signing in the frontend's own app must be shown."
  }
}

run "variables_and_secrets_are_told_apart" {
  variables {
    variables    = { ENABLE_RAG = "true" }
    secrets      = { OPENAI_API_KEY = "sk-1" }
    database_url = "postgres://u:p@db.example.com"
    sign_in      = false
    on_destroy   = "retain"
    labels       = { team = "a" }
  }

  assert {
    condition     = convex_env.this.variables == tomap({ ENABLE_RAG = "true" }) && keys(convex_env.this.secrets) == tolist(["OPENAI_API_KEY"])
    error_message = "Both must be set, each as what it is."
  }
  assert {
    condition     = nonsensitive(convex_env.this.secrets["OPENAI_API_KEY"].value) == "sk-1" && convex_env.this.auth == null
    error_message = "A secret has its value, and without sign_in nothing is added."
  }
  assert {
    condition     = nonsensitive(convex_deployment.this.database.url) == "postgres://u:p@db.example.com" && convex_deployment.this.database.create
    error_message = "The database must be the one that is given, and is created."
  }
  assert {
    condition     = convex_deployment.this.volume.on_destroy == "retain" && convex_deployment.this.labels == tomap({ "coder.workspace_id" = "11111111-2222-3333-4444-555555555555", team = "a" })
    error_message = "Labels and the fate of the data must be as given."
  }
}

run "variables_of_the_environment_need_a_script" {
  command = plan

  variables {
    from_environment = ["OPENAI_API_KEY"]
  }

  expect_failures = [convex_env.this]
}

run "an_app_is_deployed_at_start" {
  variables {
    app_directory    = "~/app"
    from_environment = ["STRIPE_KEY", "OPENAI_API_KEY"]
  }

  assert {
    condition     = data.convex_project.app[0].install.from_environment == toset(["OPENAI_API_KEY", "STRIPE_KEY"]) && convex_env.this.unmanaged == toset(["OPENAI_API_KEY", "STRIPE_KEY"])
    error_message = "The script must set the variables of the environment, and convex_env must leave them alone."
  }

  assert {
    condition     = coder_script.deploy[0].run_on_start && startswith(coder_script.deploy[0].script, "#!/usr/bin/env bash")
    error_message = "The script must run when the workspace starts."
  }
}

run "a_stopped_workspace_keeps_the_deployment" {
  variables {
    agent_id          = null
    network_container = null
    app_directory     = "~/app"
  }

  override_data {
    target = data.coder_workspace.me
    values = {
      id          = "11111111-2222-3333-4444-555555555555"
      name        = "dev"
      access_url  = "https://coder.example.com"
      start_count = 0
    }
  }

  assert {
    condition     = !convex_deployment.this.running && length(coder_metadata.this) == 0
    error_message = "It must be stopped, not destroyed."
  }

  # Of a stopped workspace Coder would take an agent for a part of the deployment.
  assert {
    condition     = length(coder_env.this) + length(coder_env.vite) + length(coder_app.this) + length(coder_script.deploy) + length(coder_script.addresses) == 0
    error_message = "Nothing may need an agent, which may be counted."
  }
}

run "only_if_asked_for_the_addresses_are_below_the_access_url" {
  variables {
    wildcard                 = ""
    wildcard_from_access_url = true
  }

  assert {
    condition     = output.origins.api == "https://convex-api--dev--ann.coder.example.com"
    error_message = "The host must follow from the access URL."
  }
}

run "what_coder_does_not_know_is_refused" {
  command = plan

  variables {
    share      = { site = "everybody" }
    on_destroy = "keep"

    admin_key_file = { path = "it's" }
  }

  expect_failures = [var.share, var.on_destroy, var.admin_key_file]
}
