terraform {
  required_version = ">= 1.6"
  required_providers {
    # The current provider and the old 1.13: resources without _v1 in their names are in both.
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = ">= 1.13"
    }
  }
}

provider "kubernetes" {
  config_path = pathexpand(var.kubeconfig)
}
