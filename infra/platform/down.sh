#!/usr/bin/env bash
# Takes away what up.sh and Argo CD made that does not go with the namespaces; volumes with data go with them, too.
set -euo pipefail
export KUBECONFIG=${KUBECONFIG:?}
gone() { kubectl delete "$@" --ignore-not-found --timeout=180s >/dev/null; }
there() { kubectl get "$@" >/dev/null 2>&1; }

# Applications without their finalizers: what they made goes with the namespaces.
if there crd applications.argoproj.io; then
    kubectl -n argocd scale statefulset/argocd-application-controller --replicas=0 >/dev/null 2>&1 || true
    kubectl -n argocd get applications.argoproj.io -o name | while read -r one; do
        kubectl -n argocd patch "$one" --type=merge --patch '{"metadata": {"finalizers": null}}' >/dev/null
    done
    for kind in applications applicationsets appprojects; do
        gone -n argocd "$kind.argoproj.io" --all
    done
    gone crd applications.argoproj.io applicationsets.argoproj.io appprojects.argoproj.io
fi
for part in application-controller applicationset-controller server; do
    gone clusterrole,clusterrolebinding "argocd-$part"
done
for name in services steps tiles; do
    gone priorityclass "geocrop-$name"
done
# Argo Workflows' kinds go when no other namespace has any of them.
kinds=$(kubectl get crd -o name | sed -n 's|.*/\(.*\.argoproj\.io\)$|\1|p' | grep -E '^(cluster|cron)?work' || true)
for kind in $kinds; do
    others=$(kubectl get "$kind" --all-namespaces -o jsonpath='{.items[*].metadata.namespace}' | tr ' ' '\n' | grep -cvx geocrop || true)
    [[ $others -gt 0 ]] || {
        kubectl -n geocrop delete "$kind" --all --ignore-not-found --timeout=60s >/dev/null || true
        gone crd "$kind"
    }
done
