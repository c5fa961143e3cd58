# A Coder template: each workspace is a container, with a self-hosted Convex
# deployment of its own on the workspace's localhost.

terraform {
  required_version = ">= 1.8"

  required_providers {
    coder = {
      source = "coder/coder"
      # For coder_script_order, which Coder servers before 2.39 ignore.
      version = ">= 2.20"
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
  description = "Where Docker listens, such as unix:///var/run/docker.sock. Empty means DOCKER_HOST, else the local socket."
  default     = ""
}

# Coder takes a variable without a default, or with null, for one that must be
# given a value. So what may be left out is empty here.

variable "wildcard" {
  type        = string
  description = "CODER_WILDCARD_ACCESS_URL of the Coder server, such as *.apps.example.com. Templates cannot read it."
  default     = ""
}

variable "wildcard_from_access_url" {
  type        = bool
  description = "Whether an empty wildcard means * below the host of the access URL. Otherwise an empty one is an error, except on localhost and for Coder's own tunnel below try.coder.app."
  default     = false
}

variable "agent_in_hosts" {
  type        = bool
  description = "Whether the Coder server puts the agent's name into the host names of apps, as servers from before the middle of 2025 do."
  default     = false
}

variable "workspace_image" {
  type        = string
  description = "Image of the workspace, with Node.js (22.12 or newer, or 20.19 or newer of 20) and a user named coder."
  default     = "codercom/example-node:ubuntu"
}

variable "convex_backend_image" {
  type        = string
  description = "Image of the Convex backend. Empty: new workspaces get the provider's default release, existing ones keep theirs."
  default     = ""
}

variable "convex_dashboard_image" {
  type        = string
  description = "Image of the Convex dashboard, of the same release as the backend. Empty: new workspaces get the provider's default release, existing ones keep theirs."
  default     = ""
}

variable "upgrade_snapshot" {
  type        = bool
  description = "Whether a snapshot of the data is exported to its volume before another release of the backend starts on it."
  default     = true
}

variable "prebuilds" {
  type        = number
  description = "Number of workspaces that wait to be claimed. Needs a Coder license that includes prebuilt workspaces. 0: the template has no preset."
  default     = 0
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

# What a person chooses.

data "coder_parameter" "app" {
  name         = "app"
  display_name = "App"
  description  = "What the project begins with. Files that are there already stay as they are."
  type         = "string"
  default      = "minimal-auth"
  mutable      = false
  order        = 1

  option {
    name        = "Tasks"
    description = "Tasks of users who sign in."
    value       = "minimal-auth"
  }
  option {
    name        = "AI / RAG"
    description = "Also documents that are found by meaning."
    value       = "ai-rag"
  }
  option {
    name        = "Your own repository"
    description = "No files but the environment of a repository that you clone."
    value       = "none"
  }
}

data "coder_parameter" "directory" {
  name         = "directory"
  display_name = "Project directory"
  description  = "Directory of the project below the home directory. Name a clone of your own to use Convex in there."
  type         = "string"
  default      = "app"
  mutable      = true
  order        = 2

  validation {
    regex = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
    error = "Give the name of one directory, of letters, digits, dots, underscores and hyphens."
  }
}

# Names only: Coder shows the values of parameters in clear text. The values are
# user secrets, which reach the workspace's environment and never Terraform.
data "coder_parameter" "from_environment" {
  name         = "from_environment"
  display_name = "Variables from your secrets"
  description  = "Names of environment variables that your user secrets set, such as STRIPE_KEY. Your functions get them."
  type         = "list(string)"
  default      = jsonencode([])
  mutable      = true
  order        = 3
}

# Waits for an owner with all containers running. Claiming it changes owner and
# name, which replaces nothing. One that nobody claims is replaced after a day, so
# that it is never far behind the template's images.
data "coder_workspace_preset" "ready" {
  count       = var.prebuilds > 0 ? 1 : 0
  name        = "Ready to use"
  description = "A workspace whose Convex deployment is already running."
  icon        = "/icon/database.svg"
  default     = true

  parameters = {
    (data.coder_parameter.app.name)       = "minimal-auth"
    (data.coder_parameter.directory.name) = "app"
  }

  prebuilds {
    instances = var.prebuilds

    expiration_policy {
      ttl = 86400
    }
  }
}

locals {
  # The slugs name the apps and are part of their addresses. Pages and webhooks
  # call the API and the site without Coder's cookie, and Coder would redirect
  # them to its login page. So these two are public: functions must check the
  # user themselves, and administration needs the admin key. Only the owner,
  # and people the workspace is shared with, can open the dashboard.
  apps = {
    dashboard = { slug = "convex", path = "/", hidden = false, share = "owner" }
    api       = { slug = "convex-api", path = "/version", hidden = true, share = "public" }
    site      = { slug = "convex-site", path = "/", hidden = true, share = "public" }
  }
  slugs         = { for key, app in local.apps : key => app.slug }
  frontend_slug = "frontend"
  frontend_port = 5173

  rag = data.coder_parameter.app.value == "ai-rag"
  from_environment = setunion(
    local.rag ? ["OPENAI_API_KEY"] : [],
    jsondecode(data.coder_parameter.from_environment.value),
  )

  place = {
    access_url = data.coder_workspace.me.access_url
    workspace  = data.coder_workspace.me.name
    owner      = data.coder_workspace_owner.me.name
    agent      = var.agent_in_hosts ? "main" : ""

    wildcard                 = var.wildcard
    wildcard_from_access_url = var.wildcard_from_access_url
  }
  origins = provider::convex::coder_origins(merge(local.place, { slugs = local.slugs }))

  # The domain of all apps, which is what Vite wants to know before it serves a
  # page there. On a Coder server on localhost, apps may have no host of their own.
  apps_domain = try(regex("^https?://[^.:/]+([.][^:/]+)", local.origins.api)[0], "localhost")

  # A Coder server on localhost without a wildcard has no host names for apps.
  frontend_url = try(
    provider::convex::coder_app_url(merge(local.place, { slug = local.frontend_slug })),
    "http://localhost:${local.frontend_port}",
  )
}

# No count: data, keys and this resource outlive a stop, for which the container
# that is null stands. Named by the workspace's ID, since names and owners change.
# It must not refer to the agent, which Coder would then take for a part of it.
resource "convex_deployment" "app" {
  name    = "coder-${data.coder_workspace.me.id}"
  origins = local.origins

  network = {
    container = one(docker_container.workspace[*].id)
  }

  backend = {
    image = var.convex_backend_image != "" ? var.convex_backend_image : null
  }

  dashboard = {
    image = var.convex_dashboard_image != "" ? var.convex_dashboard_image : null
  }

  upgrade = {
    snapshot = var.upgrade_snapshot
  }

  labels = {
    "coder.workspace_id" = data.coder_workspace.me.id
  }

  # The data goes when the workspace is deleted, as its home does. Without this
  # it stays.
  volume = {
    on_destroy = "delete"
  }

  # Nobody else has a name with this ID, and Coder can lose a state.
  on_conflict = "adopt"

  # The first start may pull the images.
  timeouts = {
    create = "15m"
    update = "15m"
  }
}

# What functions see, except for the values of secrets, which the install script
# sets.
resource "convex_env" "app" {
  deployment  = convex_deployment.app.id
  on_conflict = "overwrite"
  # They are deleted with the volume.
  on_destroy = "keep"

  variables = local.rag ? { ENABLE_RAG = "true" } : {}
  unmanaged = local.from_environment

  auth = {
    site_url = local.frontend_url
  }
}

# The files of the project, in the workspace's home. Source is written once.
resource "convex_project" "app" {
  directory = "/home/coder/${data.coder_parameter.directory.value}"
  pattern   = data.coder_parameter.app.value
  origins   = local.origins
  slugs     = local.slugs
  site_url  = local.frontend_url
  url       = convex_deployment.app.urls.api
  admin_key = convex_deployment.app.admin_key

  install = {
    from_environment = local.from_environment
  }

  container = {
    id   = one(docker_container.workspace[*].id)
    user = "coder"
  }
}

# Counted, because Coder would attach an agent of a stopped workspace to the next
# best resource. Nothing here changes at a claim: another agent is another
# container.
resource "coder_agent" "main" {
  count = data.coder_workspace.me.start_count
  arch  = data.coder_provisioner.me.arch
  os    = "linux"

  metadata {
    display_name = "CPU Usage"
    key          = "0_cpu_usage"
    script       = "coder stat cpu"
    interval     = 10
    timeout      = 1
  }
  metadata {
    display_name = "RAM Usage"
    key          = "1_ram_usage"
    script       = "coder stat mem"
    interval     = 10
    timeout      = 1
  }
  metadata {
    display_name = "Home Disk"
    key          = "2_home_disk"
    script       = "coder stat disk --path $${HOME}"
    interval     = 60
    timeout      = 1
  }
}

resource "coder_script" "home" {
  count              = data.coder_workspace.me.start_count
  agent_id           = coder_agent.main[0].id
  display_name       = "Prepare the home directory"
  icon               = "/icon/folder.svg"
  run_on_start       = true
  start_blocks_login = true

  script = <<-SCRIPT
    #!/bin/sh
    set -e
    # The volume hides what the image has in the home directory.
    if [ ! -f ~/.init_done ]; then
      cp -rT /etc/skel ~
      touch ~/.init_done
    fi
  SCRIPT
}

# To deploy functions of a clone of your own, let it wait for the script that
# clones it, too.
data "coder_script_order" "convex" {
  count = data.coder_workspace.me.start_count

  rule {
    run   = ["coder_script.deploy[0]"]
    after = ["coder_script.home[0]"]
  }
}

# What the convex command line, a frontend and scripts read. By coder_env, since
# in the container's environment it would be a cycle: the deployment needs the
# container.
resource "coder_env" "convex" {
  for_each = toset(data.coder_workspace.me.start_count == 0 ? [] : [
    "CONVEX_SELF_HOSTED_URL",
    "CONVEX_SELF_HOSTED_ADMIN_KEY",
    "CONVEX_CLOUD_ORIGIN",
    "CONVEX_SITE_ORIGIN",
    "CONVEX_SITE_URL",
    "CONVEX_DEPLOYMENT_URL",
    "VITE_CONVEX_URL",
    "VITE_CONVEX_SITE_URL",
    "JWT_ISSUER",
  ])
  agent_id = coder_agent.main[0].id
  name     = each.key
  value    = convex_deployment.app.agent_env[each.key]
}

# The project's configuration need not name the domain.
resource "coder_env" "vite" {
  count    = data.coder_workspace.me.start_count
  agent_id = coder_agent.main[0].id
  name     = "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS"
  value    = local.apps_domain
}

resource "coder_env" "git" {
  for_each = data.coder_workspace.me.start_count == 0 ? {} : {
    GIT_AUTHOR_NAME     = coalesce(data.coder_workspace_owner.me.full_name, data.coder_workspace_owner.me.name)
    GIT_AUTHOR_EMAIL    = data.coder_workspace_owner.me.email
    GIT_COMMITTER_NAME  = coalesce(data.coder_workspace_owner.me.full_name, data.coder_workspace_owner.me.name)
    GIT_COMMITTER_EMAIL = data.coder_workspace_owner.me.email
  }
  agent_id = coder_agent.main[0].id
  name     = each.key
  value    = each.value
}

# Coder hears of the agent when the whole apply is done. By then the backend
# answers and has its variables, which the first deploy of functions reads.
resource "coder_script" "deploy" {
  count              = data.coder_workspace.me.start_count
  agent_id           = coder_agent.main[0].id
  display_name       = "Deploy Convex functions"
  icon               = "/icon/database.svg"
  run_on_start       = true
  start_blocks_login = false
  script             = convex_project.app.install_script
}

# Coder tells workspaces, and not templates, which addresses it serves. If they
# are others than those computed here, somebody should know.
resource "coder_script" "addresses" {
  count              = data.coder_workspace.me.start_count
  agent_id           = coder_agent.main[0].id
  display_name       = "Check the Convex addresses"
  icon               = "/icon/database.svg"
  run_on_start       = true
  start_blocks_login = false

  script = <<-SCRIPT
    #!/bin/sh
    set -eu
    served=$(printf %s "$${VSCODE_PROXY_URI:-}" | tr A-Z a-z)
    agent="{{port}}--main"
    host=$${served#*"$agent"}
    [ "$host" != "$served" ] || exit 0
    case "$CONVEX_CLOUD_ORIGIN" in
      "$${served%%"$agent"*}"*"$host") exit 0 ;;
    esac
    wildcard="*$${host#--${lower(data.coder_workspace.me.name)}--${lower(data.coder_workspace_owner.me.name)}}"
    cat >&2 <<TEXT
    Convex was told the address $CONVEX_CLOUD_ORIGIN, which Coder does not serve.
    Coder serves apps at $${served%%"$agent"*}SLUG$host.
    Set the template variable wildcard to $wildcard, push the template, and update the workspace.
    TEXT
    exit 1
  SCRIPT
}

resource "coder_app" "convex" {
  for_each     = { for key, app in local.apps : key => app if data.coder_workspace.me.start_count > 0 }
  agent_id     = coder_agent.main[0].id
  slug         = each.value.slug
  display_name = each.value.hidden ? null : "Convex Dashboard"
  icon         = each.value.hidden ? null : "/icon/database.svg"
  hidden       = each.value.hidden
  url          = convex_deployment.app.urls[each.key]
  subdomain    = true
  share        = each.value.share
  open_in      = "tab"

  healthcheck {
    url       = "${convex_deployment.app.urls[each.key]}${each.value.path}"
    interval  = 5
    threshold = 12
  }
}

# What the project's development server serves, once a person starts it.
resource "coder_app" "frontend" {
  count        = data.coder_workspace.me.start_count
  agent_id     = coder_agent.main[0].id
  slug         = local.frontend_slug
  display_name = "Frontend"
  icon         = "/icon/code.svg"
  url          = "http://localhost:${local.frontend_port}"
  subdomain    = true
  share        = "owner"
  open_in      = "tab"
}

# Refers to the deployment and to nothing else, because Coder puts it beside the
# nearest thing that it refers to.
resource "coder_metadata" "convex" {
  count       = data.coder_workspace.me.start_count
  resource_id = convex_deployment.app.id
  icon        = "/icon/database.svg"

  item {
    key   = "Dashboard"
    value = "[${convex_deployment.app.origins.dashboard}](${convex_deployment.app.origins.dashboard})"
  }
  item {
    key   = "API"
    value = "[${convex_deployment.app.origins.api}](${convex_deployment.app.origins.api})"
  }
  item {
    key   = "Site"
    value = "[${convex_deployment.app.origins.site}](${convex_deployment.app.origins.site})"
  }
  item {
    key   = "Database"
    value = convex_deployment.app.database_kind
  }
}

resource "docker_volume" "home" {
  name = "coder-${data.coder_workspace.me.id}-home"

  # The home is kept whatever changes here.
  lifecycle {
    ignore_changes = all
  }

  labels {
    label = "coder.owner"
    value = data.coder_workspace_owner.me.name
  }
  labels {
    label = "coder.owner_id"
    value = data.coder_workspace_owner.me.id
  }
  labels {
    label = "coder.workspace_id"
    value = data.coder_workspace.me.id
  }
  labels {
    label = "coder.workspace_name_at_creation"
    value = data.coder_workspace.me.name
  }
}

# The agent's token is new at each start, and stays at a claim.
locals {
  start = one([for agent in coder_agent.main : substr(nonsensitive(sha256(agent.token)), 0, 8)])
}

# If Coder kills a build, Terraform does not learn of the container it has made.
# The name, which is new at each start, then does not stand in the way of the
# next one, and the deployment removes the old container by the last label.
resource "docker_container" "workspace" {
  count      = data.coder_workspace.me.start_count
  image      = var.workspace_image
  name       = "coder-${data.coder_workspace_owner.me.name}-${lower(data.coder_workspace.me.name)}-${local.start}"
  hostname   = data.coder_workspace.me.name
  entrypoint = ["sh", "-c", replace(coder_agent.main[0].init_script, "/localhost|127\\.0\\.0\\.1/", "host.docker.internal")]
  env        = ["CODER_AGENT_TOKEN=${coder_agent.main[0].token}"]

  # A claim of a prebuilt workspace changes these three, and must not cost the
  # container. The next start brings them up to date.
  lifecycle {
    ignore_changes = [name, hostname, labels]
  }

  host {
    host = "host.docker.internal"
    ip   = "host-gateway"
  }

  volumes {
    container_path = "/home/coder"
    volume_name    = docker_volume.home.name
  }

  labels {
    label = "coder.owner"
    value = data.coder_workspace_owner.me.name
  }
  labels {
    label = "coder.owner_id"
    value = data.coder_workspace_owner.me.id
  }
  labels {
    label = "coder.workspace_id"
    value = data.coder_workspace.me.id
  }
  labels {
    label = "coder.workspace_name"
    value = data.coder_workspace.me.name
  }
  labels {
    label = "io.github.coder-convex.network-for"
    value = "coder-${data.coder_workspace.me.id}"
  }
}
