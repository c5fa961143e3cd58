# By the directory. Files that are there stay as they are.
terraform import convex_project.app /home/me/app
