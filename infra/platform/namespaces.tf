# Where things are, and how much may be there. What this provider cannot say in its old version (quotas by priority class,
# priority classes that push nothing out) is in gitops/apps/access.

locals {
  namespaces = {
    geocrop        = "restricted"
    argocd         = "restricted"
    geocrop-builds = "privileged" # see gitops/apps/runner: profiles of seccomp and AppArmor forbid what building needs
  }
  storage = { geocrop = var.storage, argocd = "0", geocrop-builds = "1Gi" }
}

resource "kubernetes_namespace" "of" {
  for_each = local.namespaces

  metadata {
    name = each.key
    labels = {
      "app.kubernetes.io/part-of"          = "geocrop"
      "pod-security.kubernetes.io/enforce" = each.value
      "pod-security.kubernetes.io/warn"    = "restricted"
    }
  }
}

resource "kubernetes_limit_range" "containers" {
  for_each = local.namespaces

  metadata {
    name      = "containers"
    namespace = kubernetes_namespace.of[each.key].metadata[0].name
  }

  spec {
    limit {
      type            = "Container"
      default         = { memory = var.sizes.light }
      default_request = { cpu = "10m", memory = "64Mi" }
      max             = { memory = each.key == "geocrop" ? var.sizes.most : var.sizes.heavy }
    }
  }
}

# Of the node's own ports none is ours: the live page's entry has them.
resource "kubernetes_resource_quota" "node" {
  for_each = local.namespaces

  metadata {
    name      = "node"
    namespace = kubernetes_namespace.of[each.key].metadata[0].name
  }

  spec {
    hard = {
      "services.nodeports"     = "0"
      "services.loadbalancers" = "0"
      "requests.storage"       = local.storage[each.key]
    }
  }
}

resource "kubernetes_resource_quota" "memory" {
  for_each = { argocd = "2Gi", geocrop-builds = "3Gi" }

  metadata {
    name      = "memory"
    namespace = kubernetes_namespace.of[each.key].metadata[0].name
  }

  spec {
    hard = {
      "pods"          = "10"
      "limits.memory" = each.value
    }
  }
}
