#!/usr/bin/env bash
# Brings a backup of the second place onto an empty installation: restore.sh [DATE]. KUBECONFIG names the cluster; the secrets
# `backup-target` and the old `backup-key` are there (docs/operations.md). Secrets, databases and Gitea become what they
# were; objects of the store are mirrored by their own means. Run again it begins anew.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/gitea.sh"
day=${1:-latest}
k() { kubectl -n geocrop "$@"; }

# The backup, fetched and opened, in a pod that waits: whatever is asked of it is run beside the files in /backup.
open_backup() {
    k delete job open-backup --ignore-not-found --wait >/dev/null
    k create job open-backup --from=cronjob/restore --dry-run=client -o yaml |
        kubectl patch --local -f - --type=json -o yaml --patch "[
            {\"op\": \"replace\", \"path\": \"/spec/template/spec/initContainers/0/command\",
             \"value\": [\"python\", \"/program/keep.py\", \"fetch\", \"$day\", \"second\"]},
            {\"op\": \"replace\", \"path\": \"/spec/template/spec/containers/0/command\", \"value\": [\"sleep\", \"3600\"]},
            {\"op\": \"add\", \"path\": \"/spec/template/spec/containers/0/volumeMounts/-\",
             \"value\": {\"name\": \"git\", \"mountPath\": \"/git\"}},
            {\"op\": \"add\", \"path\": \"/spec/template/spec/volumes/-\",
             \"value\": {\"name\": \"git\", \"persistentVolumeClaim\": {\"claimName\": \"data-gitea-0\"}}}]" |
        kubectl apply -f - >/dev/null
    k wait --for=condition=Ready pod -l batch.kubernetes.io/job-name=open-backup --timeout=600s >/dev/null ||
        die "the backup is not fetched: kubectl -n geocrop logs job/open-backup --all-containers"
}
close_backup() { k delete job open-backup --wait >/dev/null; }
# there KIND/NAME...: those of them that are installed
there() { k get "$@" --ignore-not-found -o name; }

say "nothing changes meanwhile"
kubectl -n argocd scale statefulset/argocd-application-controller --replicas=0 >/dev/null
for one in $(there deployment/api deployment/mlflow deployment/jupyter deployment/workflow-controller); do
    k scale "$one" --replicas=0 >/dev/null
done
k scale statefulset/gitea --replicas=0 >/dev/null
k wait --for=delete pod/gitea-0 --timeout=120s >/dev/null

say "secrets"
open_backup
k exec job/open-backup -c main -- cat /backup/secrets.json | sed 's/^{"items"/{"apiVersion": "v1", "kind": "List", "items"/' |
    kubectl -n geocrop apply --server-side --force-conflicts -f - >/dev/null
close_backup
for one in statefulset/postgis $(there statefulset/minio); do
    k rollout restart "$one" >/dev/null
    k rollout status "$one" --timeout=300s >/dev/null
done
once postgis-roles
once store-users

say "databases and Gitea"
open_backup
k exec job/open-backup -c main -- sh /program/load.sh
k exec job/open-backup -c main -- sh -c 'rm -rf /git/gitea && tar -xf /backup/gitea.tar -C /git'
close_backup

say "everything with its old secrets"
k scale statefulset/gitea --replicas=1 >/dev/null
k rollout status statefulset/gitea --timeout=300s >/dev/null
reach_gitea
let_argocd_read
kubectl -n argocd rollout restart deployment/argocd-repo-server >/dev/null
kubectl -n argocd scale statefulset/argocd-application-controller --replicas=1 >/dev/null
k rollout restart deployment >/dev/null
say 'done: Argo CD brings what the repository says'
