variable "kubeconfig" {
  description = "Of the cluster's administrator. K3s writes /etc/rancher/k3s/k3s.yaml."
  type        = string
  default     = "~/.kube/config"
}

variable "domain" {
  description = "Every host is below it: app.portfolio.DOMAIN, s3.DOMAIN, ..."
  type        = string
  default     = "techarvest.co.zw"

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.domain))
    error_message = "Give a domain in small letters, without a dot at its end."
  }
}

variable "issuer" {
  description = "The ClusterIssuer of cert-manager that makes certificates; it is there already."
  type        = string
  default     = "letsencrypt"
}

variable "source_repository" {
  description = "The Git repository whose main branch is what Gitea begins with: a folder or an address."
  type        = string
  default     = "../.."
}

variable "argocd_manifest" {
  description = "Argo CD's release: a file or an address. What is applied has the checksum below, or nothing is."
  type        = string
  default     = "https://raw.githubusercontent.com/argoproj/argo-cd/v3.2.11/manifests/install.yaml"
}

variable "argocd_sha256" {
  description = "Of that manifest."
  type        = string
  default     = "6cdd269e07f27b50f9e481cc7e685443b26b79372001ff7868ff1543610417bd"
}

variable "sizes" {
  description = "Memory, said once: what a light service may have, what a worker or Jupyter may, the most of any container."
  type        = object({ light = string, heavy = string, most = string })
  default     = { light = "512Mi", heavy = "2Gi", most = "4Gi" }
}

variable "storage" {
  description = "What all volumes may take together."
  type        = string
  default     = "200Gi"
}
