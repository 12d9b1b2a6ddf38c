#!/usr/bin/env bash
# Builds and pushes the images, tagged by commit and `latest`: build.sh COMMIT. Digests go to digests/NAME.
# Settings are in .gitea/workflows/build-push.yaml; the token goes over standard input.
set -euo pipefail
commit=${1:?the commit}
: "${REGISTRY:=docker.io}" "${OWNER:=frankchine}" "${IMAGES:=worker api web jupyter runner}" "${INSECURE:=false}"
cd "$(dirname "$0")/../.."
verify=true
[[ $INSECURE != true ]] || verify=false
if [[ -n ${REGISTRY_TOKEN:-} ]]; then
    printf %s "$REGISTRY_TOKEN" |
        buildah login --tls-verify="$verify" --username "${REGISTRY_USER:?}" --password-stdin "$REGISTRY" >/dev/null
fi
mkdir -p digests
for name in $IMAGES; do
    arguments=(--label "org.opencontainers.image.revision=$commit")
    base=${BASE_IMAGE:-}
    if [[ $name == web ]]; then
        base=${WEB_BASE_IMAGE:-}
        [[ -z ${NODE_IMAGE:-} ]] || arguments+=(--build-arg "BUILD_IMAGE=$NODE_IMAGE")
    fi
    [[ -z $base ]] || arguments+=(--build-arg "BASE_IMAGE=$base")
    if [[ -n ${CERTIFICATES:-} ]]; then      # the network's own; they do not stay in the image
        arguments+=(--network host --volume "$CERTIFICATES:$CERTIFICATES:ro")
        arguments+=(--build-arg "PIP_CERT=$CERTIFICATES" --build-arg "NPM_CERT=$CERTIFICATES")
    fi
    image=$REGISTRY/$OWNER/geocrop-$name
    buildah build --quiet "${arguments[@]}" --file "infra/images/$name/Dockerfile" --tag "$image:$commit" . >/dev/null
    buildah push --quiet --tls-verify="$verify" --digestfile "digests/$name" "$image:$commit" >/dev/null
    buildah push --quiet --tls-verify="$verify" "$image:$commit" "docker://$image:latest" >/dev/null
    printf '%s@%s\n' "$image" "$(cat "digests/$name")"
done
