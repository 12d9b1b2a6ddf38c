#!/usr/bin/env bash
# Asks the registries for the digests of the tags in gitops/place/images and writes them behind the tags. Needs skopeo.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=gitops/place/images/kustomization.yaml
sed -n 's/.*newName: \([^,]*\), newTag: \([^,}]*\).*/\1 \2/p' "$place" | while read -r name tag; do
    digest=$(skopeo inspect --format '{{.Digest}}' "docker://$name:$tag")
    [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "$name:$tag has no digest" >&2; exit 1; }
    sed -i "s|newName: $name, newTag: $tag|newName: $name, digest: $digest|; /newName: $name, digest/ { /# $tag/! s|\$| # $tag| }" "$place"
    echo "$name:$tag $digest"
done
