"""From a job to the Kustomize overlay that runs it."""
