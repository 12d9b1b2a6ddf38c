#!/bin/sh
# Registers with Gitea, once, then takes jobs. What it is registered as lies on its volume.
set -eu
cd /data
until [ -s /secrets/token ] || [ -s /data/runner ]; do sleep 3; done
# The runner takes a token as an argument only: it is seen for a moment, inside this pod.
[ -s /data/runner ] || gitea-runner --config /program/config.yaml register --no-interactive --instance http://gitea.geocrop:3000 \
    --token "$(cat /secrets/token)" --name "$(hostname)"
exec gitea-runner --config /program/config.yaml daemon
