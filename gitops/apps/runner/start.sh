#!/bin/sh
# Registers with Gitea, once, then takes jobs. What it is registered as lies on its volume.
set -eu
cd /data
if [ ! -s /data/runner ]; then
    until [ -s /secrets/token ]; do sleep 3; done
    # The runner takes a token as an argument only: it is seen for a moment, inside this pod.
    gitea-runner --config /program/config.yaml register --no-interactive \
        --instance http://gitea.geocrop:3000 --token "$(cat /secrets/token)" --name "$(hostname)"
fi
exec gitea-runner --config /program/config.yaml daemon
