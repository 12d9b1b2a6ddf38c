#!/bin/sh
# Registers with Gitea, once, then takes jobs. What it is registered as lies on its volume.
set -eu
cd /data
run() { gitea-runner --config /program/config.yaml "$@"; }
# The runner takes a token as an argument only: it is seen for a moment, inside this pod.
[ -s /data/runner ] || run register --no-interactive --instance http://gitea.geocrop:3000 \
    --token "$(cat /secrets/token)" --name "$(hostname)" --labels ubuntu-latest:host
exec gitea-runner --config /program/config.yaml daemon
