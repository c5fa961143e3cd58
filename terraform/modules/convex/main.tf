terraform {
  # For functions of providers.
  required_version = ">= 1.8"

  required_providers {
    coder = {
      source  = "coder/coder"
      version = ">= 2.5"
    }
    convex = {
      source  = "coder-convex/convex"
      version = ">= 0.1"
    }
  }
}

# Templates give variables that may be left out an empty string, because Coder
# takes null for missing. So empty and null are the same here.

variable "agent_id" {
  type        = string
  description = "The ID of a Coder agent. Null while the workspace is stopped, where the agent has a count."
}

variable "network_container" {
  type        = string
  description = "The ID of the workspace's container, whose network the deployment shares, so that it is on the agent's own localhost: one(docker_container.workspace[*].id). Null while the workspace is stopped."
}

variable "wildcard" {
  type        = string
  description = "CODER_WILDCARD_ACCESS_URL of the Coder server, such as *.apps.example.com. Templates cannot read it."
  default     = ""
  nullable    = false
}

variable "wildcard_from_access_url" {
  type        = bool
  description = "Whether an empty wildcard means * below the host of the access URL. Otherwise an empty one is an error, except on localhost and for Coder's own tunnel below try.coder.app."
  default     = false
  nullable    = false
}

variable "agent_name" {
  type        = string
  description = "The agent's name, for Coder servers from before the middle of 2025, which have it in the host names of apps. Empty for newer ones."
  default     = ""
  nullable    = false
}

variable "slugs" {
  type = object({
    api       = optional(string, "convex-api")
    site      = optional(string, "convex-site")
    dashboard = optional(string, "convex")
  })
  description = "The slugs of the three apps, from which their addresses follow."
  default     = {}
}

variable "share" {
  type = object({
    api       = optional(string, "public")
    site      = optional(string, "public")
    dashboard = optional(string, "owner")
  })
  description = "Who may open each of the three apps: owner, authenticated or public. Browsers call the API and the site without Coder's cookie, and Coder redirects such calls to its login page unless these two are public. Then anybody who knows their addresses can call the app's public functions, which must check the user themselves."
  default     = {}

  validation {
    condition     = alltrue([for level in values(var.share) : contains(["owner", "authenticated", "public"], level)])
    error_message = "Each share must be one of: owner, authenticated, public."
  }
}

variable "images" {
  type = object({
    backend   = optional(string, "")
    dashboard = optional(string, "")
  })
  description = "The images of backend and dashboard, of the same release. Empty: new workspaces get the default release of the provider, existing ones keep theirs."
  default     = {}
}

variable "backend" {
  type = object({
    env       = optional(map(string))
    memory_mb = optional(number)
    cpus      = optional(number)
    pids      = optional(number)
  })
  description = "Environment variables of the backend's process, which functions do not see, and its limits: memory in MiB, processors, processes. Such as { env = { DISABLE_BEACON = \"true\" }, memory_mb = 2048 }."
  default     = {}
}

variable "dashboard" {
  type = object({
    memory_mb         = optional(number)
    cpus              = optional(number)
    pids              = optional(number)
    prefill_admin_key = optional(bool)
  })
  description = "Limits of the dashboard: memory in MiB, processors, processes. With prefill_admin_key it logs in by itself, and whoever opens its page can read the admin key."
  default     = {}
}

variable "internal_origins" {
  type        = bool
  description = "Whether the backend calls itself at its own ports. Then \"use node\" actions and sign-in do not depend on the public apps being reachable from inside the container."
  default     = null
}

variable "database_url" {
  type        = string
  description = "URL of a PostgreSQL server for the documents. The database is created there. Empty: the documents are in SQLite on the volume."
  default     = ""
  nullable    = false
  sensitive   = true
}

variable "storage" {
  type = object({
    region                  = string
    exports_bucket          = string
    files_bucket            = string
    modules_bucket          = string
    search_bucket           = string
    snapshot_imports_bucket = string
    access_key_id           = optional(string)
    endpoint                = optional(string)
    path_style              = optional(bool)
    disable_sse             = optional(bool)
    disable_checksums       = optional(bool)
  })
  description = "S3 buckets for files, modules, search indexes, exports and imports. Null: they are on the volume."
  default     = null
}

variable "storage_secret_access_key" {
  type        = string
  description = "Secret of the key in storage."
  default     = ""
  nullable    = false
  sensitive   = true
}

variable "rotate_trigger" {
  type        = string
  description = "Any text. A change of it gives the deployment a new secret, and revokes all admin keys."
  default     = null
}

variable "secrets_in_state" {
  type        = bool
  description = "Whether keys and secrets may be kept in Terraform's state, which Coder has in its database. When false, the agent gets no admin key by its environment: the file in admin_key_file has it. Needs Terraform 1.11 or newer."
  default     = true
  nullable    = false
}

variable "admin_key_file" {
  type = object({
    path = optional(string, "/home/coder/.convex/admin_key")
    user = optional(string, "coder")
  })
  description = "With secrets_in_state = false: the file in the workspace that holds the admin key, and the user who may read it."
  default     = {}

  validation {
    condition     = can(regex("^/[^']+$", var.admin_key_file.path))
    error_message = "admin_key_file.path must be an absolute path without quotes."
  }
}

variable "variables" {
  type        = map(string)
  description = "Variables of the functions, which plans show."
  default     = {}
}

variable "secrets" {
  type        = map(string)
  description = "Variables of the functions whose values are secrets. Plans show their names."
  default     = {}
  sensitive   = true
}

variable "from_environment" {
  type        = set(string)
  description = "Names of variables of the functions that the workspace takes from its own environment, such as user secrets of Coder. Their values never reach Terraform. Needs app_directory, whose script sets them at each start."
  default     = []
  nullable    = false
}

variable "sign_in" {
  type        = bool
  description = "Whether the variables for signing in with @convex-dev/auth are set: keys, issuer and the address of the frontend."
  default     = true
}

variable "frontend_slug" {
  type        = string
  description = "The slug of the coder_app that shows the frontend, for redirects after signing in. Empty: http://localhost:5173."
  default     = ""
  nullable    = false
}

variable "app_directory" {
  type        = string
  description = "Directory of an app in the workspace, absolute or ~/…, whose functions are deployed when the workspace starts. What the app lacks is written, nothing is overwritten. Empty: nothing is deployed."
  default     = ""
  nullable    = false
}

variable "upgrade" {
  type = object({
    snapshot = optional(bool, true)
    policy   = optional(string)
  })
  description = "What happens when the image of the backend changes. snapshot: whether the data is exported to its volume before another release starts on it. policy: replace (default) or keep, which lets a running workspace keep its image until its next start."
  default     = {}
}

variable "restore_from" {
  type = object({
    snapshot = optional(string)
    volume   = optional(string)
  })
  description = "What a new workspace's data begins with: a snapshot (a ZIP file on the provisioner, or VOLUME:/PATH) or the volume of another deployment. Null: it begins empty. Ignored once there is data."
  default     = null
}

variable "on_destroy" {
  type        = string
  description = "What happens to the data when the workspace is deleted: delete, as for the workspace's home, or retain, which keeps the volume."
  default     = "delete"

  validation {
    condition     = contains(["delete", "retain"], var.on_destroy)
    error_message = "on_destroy must be one of: delete, retain."
  }
}

variable "labels" {
  type        = map(string)
  description = "Labels of all Docker objects, beside coder.workspace_id."
  default     = {}
}

variable "order" {
  type        = number
  description = "The order of the dashboard among the workspace's apps."
  default     = null
}

variable "group" {
  type        = string
  description = "The group of the dashboard among the workspace's apps."
  default     = null
}

variable "icon" {
  type        = string
  description = "The icon of the dashboard and of the scripts."
  default     = "/icon/database.svg"
}

data "coder_workspace" "me" {}

data "coder_workspace_owner" "me" {}

locals {
  starts = data.coder_workspace.me.start_count > 0

  place = {
    access_url = data.coder_workspace.me.access_url
    workspace  = data.coder_workspace.me.name
    owner      = data.coder_workspace_owner.me.name
    agent      = var.agent_name

    wildcard                 = var.wildcard
    wildcard_from_access_url = var.wildcard_from_access_url
  }
  origins = provider::convex::coder_origins(merge(local.place, { slugs = var.slugs }))

  apps = {
    api       = { name = "Convex API", health = "/version" }
    site      = { name = "Convex Site", health = "/" }
    dashboard = { name = "Convex Dashboard", health = "/" }
  }

  # The domain of all apps, which is what Vite wants to know before it serves a
  # page there. On a Coder server on localhost, apps may have no host of their own.
  apps_domain = try(regex("^https?://[^.:/]+([.][^:/]+)", local.origins.api)[0], "localhost")

  site_url = (
    var.frontend_slug == "" || startswith(local.origins.api, "http://localhost:")
    ? "http://localhost:5173"
    : provider::convex::coder_app_url(merge(local.place, { slug = var.frontend_slug }))
  )

  # Names are not secret.
  secret_names = nonsensitive(toset(keys(var.secrets)))

  # Kept in the state, or given by write-only attributes.
  database_url = var.database_url == "" ? null : var.database_url
  s3_secret    = var.storage_secret_access_key == "" ? null : var.storage_secret_access_key

  # What the convex command line, a Vite frontend and scripts read.
  agent_env = toset([
    for name in [
      "CONVEX_CLOUD_ORIGIN",
      "CONVEX_DEPLOYMENT_URL",
      "CONVEX_SELF_HOSTED_ADMIN_KEY",
      "CONVEX_SELF_HOSTED_URL",
      "CONVEX_SITE_ORIGIN",
      "CONVEX_SITE_URL",
      "JWT_ISSUER",
      "VITE_CONVEX_SITE_URL",
      "VITE_CONVEX_URL",
    ] : name if var.secrets_in_state || name != "CONVEX_SELF_HOSTED_ADMIN_KEY"
  ])
}

# No count: the data, the keys and this resource outlive a stop. It must not
# refer to the agent, which Coder would then take for a part of it.
resource "convex_deployment" "this" {
  name    = "coder-${data.coder_workspace.me.id}"
  running = local.starts
  origins = local.origins

  internal_origins = var.internal_origins
  rotate_trigger   = var.rotate_trigger
  secrets_in_state = var.secrets_in_state
  restore_from     = var.restore_from
  upgrade          = var.upgrade

  backend = merge(var.backend, {
    image = var.images.backend != "" ? var.images.backend : null
  })

  dashboard = merge(var.dashboard, {
    image = var.images.dashboard != "" ? var.images.dashboard : null
  })

  database = nonsensitive(var.database_url == "") ? null : {
    url    = var.secrets_in_state ? local.database_url : null
    url_wo = var.secrets_in_state ? null : local.database_url
    create = true
  }

  storage = one([
    for s3 in var.storage[*] : {
      s3 = merge(s3, {
        secret_access_key    = var.secrets_in_state ? local.s3_secret : null
        secret_access_key_wo = var.secrets_in_state ? null : local.s3_secret
      })
    }
  ])

  network = {
    container = var.network_container
  }

  volume = {
    on_destroy = var.on_destroy
  }

  # Nobody else has a name with this ID, and Coder can lose a state.
  on_conflict = "adopt"

  labels = merge(var.labels, {
    "coder.workspace_id" = data.coder_workspace.me.id
  })

  # The first start may pull the images.
  timeouts = {
    create = "15m"
    update = "15m"
  }
}

resource "convex_env" "this" {
  deployment = convex_deployment.this.id
  variables  = var.variables
  secrets = {
    for name in local.secret_names : name => {
      value    = var.secrets_in_state ? var.secrets[name] : null
      value_wo = var.secrets_in_state ? null : var.secrets[name]
    }
  }
  unmanaged = var.from_environment
  auth      = var.sign_in ? { site_url = local.site_url } : null
  # They are deleted with the volume.
  on_destroy = var.on_destroy == "delete" ? "keep" : null

  lifecycle {
    precondition {
      condition     = length(var.from_environment) == 0 || var.app_directory != ""
      error_message = "from_environment needs app_directory, whose script sets the variables. Give app_directory."
    }
  }
}

# The key itself is neither in the state nor in the agent's environment.
resource "convex_admin_key_file" "this" {
  count      = var.secrets_in_state ? 0 : 1
  deployment = convex_deployment.this.id
  path       = var.admin_key_file.path

  container = {
    id   = var.network_container
    user = var.admin_key_file.user
  }
}

# A stopped workspace has no use for these, and may have no agent either. One
# that is there all the same would be taken for a part of the deployment, which
# is then the nearest thing that is left.
resource "coder_env" "this" {
  for_each = local.starts ? local.agent_env : []
  agent_id = var.agent_id
  name     = each.key
  value    = convex_deployment.this.agent_env[each.key]
}

# The project's configuration need not name the domain.
resource "coder_env" "vite" {
  count    = local.starts ? 1 : 0
  agent_id = var.agent_id
  name     = "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS"
  value    = local.apps_domain
}

# Coder tells workspaces, and not templates, which addresses it serves. If they
# are others than those computed here, somebody should know.
resource "coder_script" "addresses" {
  count              = local.starts ? 1 : 0
  agent_id           = var.agent_id
  display_name       = "Check the Convex addresses"
  icon               = var.icon
  run_on_start       = true
  start_blocks_login = false

  script = <<-SCRIPT
    #!/bin/sh
    set -eu
    served=$(printf %s "$${VSCODE_PROXY_URI:-}" | tr A-Z a-z)
    agent=$(printf %s "{{port}}--$${CODER_WORKSPACE_AGENT_NAME:-main}" | tr A-Z a-z)
    host=$${served#*"$agent"}
    [ "$host" != "$served" ] || exit 0
    case "$CONVEX_CLOUD_ORIGIN" in
      "$${served%%"$agent"*}"*"$host") exit 0 ;;
    esac
    wildcard="*$${host#--${lower(data.coder_workspace.me.name)}--${lower(data.coder_workspace_owner.me.name)}}"
    cat >&2 <<TEXT
    Convex was told the address $CONVEX_CLOUD_ORIGIN, which Coder does not serve.
    Coder serves apps at $${served%%"$agent"*}SLUG$host.
    Set the module's input wildcard to $wildcard, push the template, and update the workspace.
    TEXT
    exit 1
  SCRIPT
}

resource "coder_app" "this" {
  for_each     = { for key, app in local.apps : key => app if local.starts }
  agent_id     = var.agent_id
  slug         = var.slugs[each.key]
  display_name = each.key == "dashboard" ? each.value.name : null
  icon         = each.key == "dashboard" ? var.icon : null
  url          = convex_deployment.this.urls[each.key]
  subdomain    = true
  share        = var.share[each.key]
  hidden       = each.key != "dashboard"
  open_in      = "tab"
  order        = each.key == "dashboard" ? var.order : null
  group        = each.key == "dashboard" ? var.group : null

  healthcheck {
    url       = "${convex_deployment.this.urls[each.key]}${each.value.health}"
    interval  = 5
    threshold = 12
  }
}

resource "coder_metadata" "this" {
  count       = data.coder_workspace.me.start_count
  resource_id = convex_deployment.this.id

  dynamic "item" {
    for_each = local.apps
    content {
      key   = item.value.name
      value = "[${local.origins[item.key]}](${local.origins[item.key]})"
    }
  }

  item {
    key   = "Database"
    value = convex_deployment.this.database_kind
  }
}

data "convex_project" "app" {
  count     = var.app_directory == "" ? 0 : 1
  directory = var.app_directory
  origins   = local.origins
  slugs     = var.slugs
  install   = { from_environment = var.from_environment }
}

# Coder hears of the agent when all of this is done. So the backend answers, and
# has its variables, before this runs.
resource "coder_script" "deploy" {
  count              = local.starts && var.app_directory != "" ? 1 : 0
  agent_id           = var.agent_id
  display_name       = "Deploy Convex functions"
  icon               = var.icon
  run_on_start       = true
  start_blocks_login = false
  script             = var.secrets_in_state ? data.convex_project.app[0].install_script : <<-SCRIPT
    #!/usr/bin/env bash
    CONVEX_SELF_HOSTED_ADMIN_KEY=$(cat '${var.admin_key_file.path}')
    export CONVEX_SELF_HOSTED_ADMIN_KEY
    ${data.convex_project.app[0].install_script}
  SCRIPT
}

output "deployment" {
  description = "The ID of the deployment, for what else depends on it."
  value       = convex_deployment.this.id
}

output "origins" {
  description = "Where browsers reach API, site and dashboard."
  value       = local.origins
}

output "admin_key" {
  description = "The key with full control over the deployment. Null with secrets_in_state = false."
  value       = convex_deployment.this.admin_key
  sensitive   = true
}

output "agent_env" {
  description = "The variables that the agent has, with the admin key."
  value       = convex_deployment.this.agent_env
  sensitive   = true
}
