#!/usr/bin/env bash
# The same platform in Docker on one machine: a k3d cluster, cert-manager with certificates of its own, then the module.
# Needs docker, k3d, kubectl, git, curl, and tofu or terraform. Hosts are below localtest.me, which leads to 127.0.0.1.
set -euo pipefail
cd "$(dirname "$0")"
: "${DOMAIN:=localtest.me}" "${CERT_MANAGER:=v1.18.2}"
for program in docker k3d kubectl git curl; do
    command -v "$program" >/dev/null || { echo "$program is not here" >&2; exit 2; }
done
tofu=$(command -v tofu || command -v terraform) || { echo "neither tofu nor terraform is here" >&2; exit 2; }
k3d cluster list geocrop >/dev/null 2>&1 ||
    k3d cluster create geocrop --servers 1 --agents 0 --port 443:443@loadbalancer --port 80:80@loadbalancer --wait
kubeconfig=$(k3d kubeconfig write geocrop)
export KUBECONFIG=$kubeconfig
kubectl apply --server-side -f \
    "https://github.com/cert-manager/cert-manager/releases/download/$CERT_MANAGER/cert-manager.yaml" >/dev/null
kubectl -n cert-manager rollout status deployment/cert-manager-webhook --timeout=300s >/dev/null
kubectl apply --server-side -f issuer.yaml >/dev/null
"$tofu" -chdir=../platform init -input=false >/dev/null
"$tofu" -chdir=../platform apply -input=false -auto-approve -state="$PWD/terraform.tfstate" \
    -var kubeconfig="$kubeconfig" -var domain="$DOMAIN" -var issuer=self-signed
