# What up.sh and restore.sh share; sourced. Needs kubectl and curl.
# shellcheck shell=bash
owner=frankchine
work=$(mktemp -d)
forward=
finish() {
    [[ -z $forward ]] || kill "$forward" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
say() { printf '%(%T)T %s\n' -1 "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
apply() { kubectl apply --server-side --force-conflicts --field-manager=argocd-controller -f - >/dev/null; }
secret() { kubectl -n "$1" get secret "$2" -o "jsonpath={.data.$3}" | base64 -d; }

# once CRONJOB: run it now, and wait for it.
once() {
    kubectl -n geocrop delete job "$1-first" --ignore-not-found >/dev/null
    kubectl -n geocrop create job "$1-first" --from="cronjob/$1" >/dev/null
    kubectl -n geocrop wait --for=condition=Complete "job/$1-first" --timeout=300s >/dev/null ||
        die "$1 failed: kubectl -n geocrop logs job/$1-first"
}

# Sets `gitea` to an address of this machine, and GITEA_PASSWORD.
reach_gitea() {
    local port
    : >"$work/forward"
    kubectl -n geocrop port-forward service/gitea :3000 >"$work/forward" 2>&1 &
    forward=$!
    for _ in {1..100}; do
        port=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/forward")
        [[ -z $port ]] || break
        sleep 0.1
    done
    [[ -n ${port:-} ]] || die "Gitea is not reached: $(cat "$work/forward")"
    gitea=http://127.0.0.1:$port
    GITEA_PASSWORD=$(secret geocrop gitea admin-password)
    export GITEA_PASSWORD
}

# api METHOD PATH [BODY]: the status goes to standard output; the password through a configuration on standard input.
api() {
    printf 'user = "%s:%s"\n' "$owner" "$GITEA_PASSWORD" |
        curl --silent --show-error --noproxy '*' --config - --request "$1" --header 'Content-Type: application/json' \
            ${3:+--data "$3"} --output "$work/answer" --write-out '%{http_code}' "$gitea/api/v1/$2"
}

# A token of Gitea's for Argo CD, which can read repositories and no more.
let_argocd_read() {
    local status token url
    api DELETE "users/$owner/tokens/argocd" >/dev/null
    status=$(api POST "users/$owner/tokens" '{"name": "argocd", "scopes": ["read:repository"]}')
    [[ $status == 201 ]] || die "no token for Argo CD: $status"
    token=$(sed -n 's/.*"sha1":"\([0-9a-f]*\)".*/\1/p' "$work/answer")
    : >"$work/answer"
    url=${repository:-$(kubectl -n argocd get application root -o 'jsonpath={.spec.source.repoURL}')}
    apply <<END
apiVersion: v1
kind: Secret
metadata:
  name: geocrop-repository
  namespace: argocd
  labels: {argocd.argoproj.io/secret-type: repository, app.kubernetes.io/part-of: geocrop}
stringData:
  type: git
  url: $url
  username: $owner
  password: $token
END
}
