# Secrets, Gitea with its first contents, Argo CD and the root application: in this order, by up.sh, with server-side
# apply. From then on Argo CD keeps all of it but itself. No secret passes through here.

resource "terraform_data" "bootstrap" {
  depends_on = [
    kubernetes_limit_range.containers,
    kubernetes_resource_quota.node,
    kubernetes_resource_quota.memory,
  ]

  # Once more when one of these changes; up.sh may be run as often as one likes.
  triggers_replace = {
    argocd = var.argocd_sha256
    script = sha256("${filesha256("${path.module}/up.sh")}${filesha256("${path.module}/gitea.sh")}")
    files  = sha256(join("", [for name in sort(fileset("${path.module}/argocd", "*")) : filesha256("${path.module}/argocd/${name}")]))
  }

  input = {
    kubeconfig = pathexpand(var.kubeconfig)
    folder     = abspath(path.module)
  }

  provisioner "local-exec" {
    command = "${self.input.folder}/up.sh"
    environment = {
      KUBECONFIG        = self.input.kubeconfig
      DOMAIN            = var.domain
      ISSUER            = var.issuer
      SOURCE_REPOSITORY = var.source_repository
      ARGOCD_MANIFEST   = var.argocd_manifest
      ARGOCD_SHA256     = var.argocd_sha256
    }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "${self.input.folder}/down.sh"
    environment = { KUBECONFIG = self.input.kubeconfig }
  }
}
