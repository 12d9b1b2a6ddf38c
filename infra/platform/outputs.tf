output "hosts" {
  description = "Names that DNS has to lead to the node."
  value       = [for name in ["app.portfolio", "tiles.portfolio", "s3", "ml", "lab", "git", "cd"] : "${name}.${var.domain}"]
}

output "first_steps" {
  description = "How to get in. Passwords are in the cluster alone."
  value       = <<-END
    kubectl -n geocrop get secret gitea -o jsonpath='{.data.admin-password}' | base64 -d      # frankchine at git.${var.domain}
    kubectl -n argocd get secret argocd-initial-admin-secret -o jsonpath='{.data.password}' | base64 -d   # admin at cd.${var.domain}
  END
}
