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
    if [[ -z $(kubectl get applications.argoproj.io --all-namespaces -o name) ]]; then
        gone crd applications.argoproj.io applicationsets.argoproj.io appprojects.argoproj.io
    fi
fi
for part in application-controller applicationset-controller server; do
    gone clusterrole,clusterrolebinding "argocd-$part"
done
for name in services steps tiles; do
    gone priorityclass "geocrop-$name"
done
each='{range .items[*]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}'
# The kinds of Argo Workflows, where it was we who brought them, and nobody else has objects of theirs.
kubectl get crd -l app.kubernetes.io/part-of=geocrop -o jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}' |
    while read -r name; do
        others=$(kubectl get "$name" --all-namespaces -o "jsonpath=$each" | sed '/^geocrop\//d')
        [[ -n $others ]] || gone crd "$name"
    done
