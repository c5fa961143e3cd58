# By the path of a directory with the files instance_name and instance_secret,
# as the backend has it in /convex/data/credentials. Not by the secret itself:
# Terraform prints IDs.
docker cp my-backend:/convex/data/credentials ./credentials
terraform import convex_credentials.app credentials
rm -r ./credentials
