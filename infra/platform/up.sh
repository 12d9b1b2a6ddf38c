#!/usr/bin/env bash
# From empty namespaces to an Argo CD that follows the Gitea that it deploys. Run again it makes what is missing.
# Needs kubectl, git and curl. Secrets go from the cluster to the cluster: through variables and standard input, never
# through an argument, a file or a log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
: "${DOMAIN:?}" "${ISSUER:?}" "${SOURCE_REPOSITORY:?}" "${ARGOCD_MANIFEST:?}" "${ARGOCD_SHA256:?}"
source "$here/gitea.sh"

# -- the contents, with this place's domain ------------------------------------------------------------------------

git clone --quiet --no-hardlinks "$SOURCE_REPOSITORY" "$work/source" || die "no Git repository in $SOURCE_REPOSITORY"
place=$work/source/gitops/place/place.yaml
sed -i "s|^  domain: .*|  domain: $DOMAIN|; s|^  issuer: [^ ]*|  issuer: $ISSUER|" "$place"
if ! git -C "$work/source" diff --quiet; then
    git -C "$work/source" -c user.name=GeoCrop -c "user.email=geocrop@$DOMAIN" commit --quiet --all \
        --message "chore(gitops): this place is $DOMAIN"
fi
gitops=$work/source/gitops
repository=$(sed -n 's/^  repository: \([^ ]*\).*/\1/p' "$place")

# -- secrets, Gitea ------------------------------------------------------------------------------------------------

say "ranks, policies, secrets"
kubectl kustomize "$gitops/apps/access" | apply
once make-secrets

say "Gitea"
kubectl kustomize "$gitops/apps/gitea" | apply
kubectl -n geocrop rollout status statefulset/gitea --timeout=600s >/dev/null ||
    die "Gitea does not start: kubectl -n geocrop logs gitea-0"
once gitea-setup

reach_gitea
status=$(api GET "repos/$owner/geocrop")
if [[ $status == 404 ]]; then
    status=$(api POST user/repos '{"name": "geocrop", "private": true, "default_branch": "main"}')
    [[ $status == 201 ]] || die "the repository was not made: $status $(cat "$work/answer")"
fi
status=$(api GET "repos/$owner/geocrop/branches/main")
if [[ $status == 404 ]]; then
    say "first contents"
    # shellcheck disable=SC2016
    git -C "$work/source" -c credential.helper= \
        -c credential.helper='!f() { echo username=frankchine; echo "password=$GITEA_PASSWORD"; }; f' \
        push --quiet "$gitea/$owner/geocrop.git" HEAD:refs/heads/main
fi

# -- Argo CD -------------------------------------------------------------------------------------------------------

say "Argo CD"
cp -r "$here/argocd" "$work/argocd"
case $ARGOCD_MANIFEST in
https://*) curl --silent --show-error --fail --location --output "$work/argocd/install.yaml" "$ARGOCD_MANIFEST" ;;
*) cp "$ARGOCD_MANIFEST" "$work/argocd/install.yaml" ;;
esac
echo "$ARGOCD_SHA256  $work/argocd/install.yaml" | sha256sum --check --quiet || die "Argo CD's manifest is another one"
kubectl kustomize "$work/argocd" >"$work/argocd.yaml"
kubectl apply --server-side --force-conflicts -f "$work/argocd.yaml" >"$work/applied" 2>&1 ||
    { tail -n 20 "$work/applied" >&2; exit 1; }
for part in statefulset/argocd-application-controller deployment/argocd-repo-server deployment/argocd-redis \
    deployment/argocd-server; do
    kubectl -n argocd rollout status "$part" --timeout=600s >/dev/null || die "$part does not start"
done

kubectl -n argocd get secret geocrop-repository >/dev/null 2>&1 || let_argocd_read

say "the root application"
kubectl kustomize "$gitops/root" | awk 'BEGIN {RS = "---\n"} /(^|\n)kind: AppProject\n/' | apply
kubectl kustomize "$gitops/root/self" | apply
say 'done: Argo CD brings the rest'
