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
  description = "CODER_WILDCARD_ACCESS_URL of the Coder server, such as *.apps.example.com. Templates cannot read it. Empty: the hosts of apps are below the host of the access URL."
  default     = ""
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

variable "database_url" {
  type        = string
  description = "URL of a PostgreSQL server for the documents. The database is created there. Empty: the documents are in SQLite on the volume."
  default     = ""
  nullable    = false
  sensitive   = true
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

variable "upgrade_snapshot" {
  type        = bool
  description = "Whether a snapshot of the data is exported to its volume before another release of the backend starts on it."
  default     = true
}

variable "on_destroy" {
  type        = string
  description = "What happens to the data when the workspace is deleted: delete or retain."
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
    wildcard   = var.wildcard
    workspace  = data.coder_workspace.me.name
    owner      = data.coder_workspace_owner.me.name
    agent      = var.agent_name
  }
  origins = provider::convex::coder_origins(merge(local.place, { slugs = var.slugs }))

  apps = {
    api       = { name = "Convex API", port = 3210, health = "/version" }
    site      = { name = "Convex Site", port = 3211, health = "/" }
    dashboard = { name = "Convex Dashboard", port = 6791, health = "/" }
  }

  # The domain of all apps, which is what Vite wants to know before it serves a
  # page there. On a Coder server on localhost, apps may have no host of their own.
  apps_domain = try(regex("^https?://[^.:/]+([.][^:/]+)", local.origins.api)[0], "localhost")

  site_url = (
    var.frontend_slug == ""
    ? "http://localhost:5173"
    : provider::convex::coder_app_url(merge(local.place, { slug = var.frontend_slug }))
  )

  # The names of secrets are none.
  secret_names = nonsensitive(toset(keys(var.secrets)))

  # What the convex command line, a Vite frontend and scripts read.
  agent_env = toset([
    "CONVEX_CLOUD_ORIGIN",
    "CONVEX_DEPLOYMENT_URL",
    "CONVEX_SELF_HOSTED_ADMIN_KEY",
    "CONVEX_SELF_HOSTED_URL",
    "CONVEX_SITE_ORIGIN",
    "CONVEX_SITE_URL",
    "JWT_ISSUER",
    "VITE_CONVEX_SITE_URL",
    "VITE_CONVEX_URL",
  ])
}

# No count: the data, the keys and this resource outlive a stop. It must not
# refer to the agent, which Coder would then take for a part of it.
resource "convex_deployment" "this" {
  name    = "coder-${data.coder_workspace.me.id}"
  running = local.starts
  origins = local.origins

  backend = {
    image = var.images.backend != "" ? var.images.backend : null
  }

  dashboard = {
    image = var.images.dashboard != "" ? var.images.dashboard : null
  }

  upgrade = {
    snapshot = var.upgrade_snapshot
  }

  database = nonsensitive(var.database_url == "") ? null : {
    url    = var.database_url
    create = true
  }

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
  secrets    = { for name in local.secret_names : name => { value = var.secrets[name] } }
  auth       = var.sign_in ? { site_url = local.site_url } : null
  # They are deleted with the volume.
  on_destroy = var.on_destroy == "delete" ? "keep" : null
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
  url          = "http://localhost:${each.value.port}"
  subdomain    = true
  share        = var.share[each.key]
  hidden       = each.key != "dashboard"
  open_in      = "tab"
  order        = each.key == "dashboard" ? var.order : null
  group        = each.key == "dashboard" ? var.group : null

  healthcheck {
    url       = "http://localhost:${each.value.port}${each.value.health}"
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
  script             = data.convex_project.app[0].install_script
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
  description = "The key with full control over the deployment."
  value       = convex_deployment.this.admin_key
  sensitive   = true
}

output "agent_env" {
  description = "The variables that the agent has, with the admin key."
  value       = convex_deployment.this.agent_env
  sensitive   = true
}
