# All variables of a deployment that this provider runs; it must be running.
# The keys and origins of signing in become `auth`, all others `secrets`.
terraform import convex_env.app app

# Only those with these names.
terraform import convex_env.app app/OPENAI_API_KEY,SMTP_PASSWORD
