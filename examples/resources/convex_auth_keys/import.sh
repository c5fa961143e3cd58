# By the path of a PEM file on the machine that runs Terraform, absolute or from
# the directory of the configuration. Not by the key itself: Terraform prints IDs.
terraform import convex_auth_keys.app jwt_private_key.pem
