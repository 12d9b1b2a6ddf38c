#!/bin/sh
# Brings the work from Git, then serves; what is written goes back every few minutes and when the pod ends.
set -eu
export HOME=/lab
cd "$HOME"
git config --global user.name notebooks
git config --global user.email notebooks@localhost
git config --global credential.helper '!f() { echo username="$GIT_USER"; echo password="$GIT_PASSWORD"; }; f'
git clone --quiet "$GIT_REPOSITORY" notebooks || { echo "no repository $GIT_REPOSITORY: work is not kept" >&2; mkdir -p notebooks; }
cd notebooks
(while sleep 300; do sh /program/save.sh || true; done) &
# Who comes here has signed in at the proxy in front, the only one that reaches this port.
exec jupyter lab --ip=0.0.0.0 --port=8888 --no-browser --ServerApp.root_dir="$PWD" --IdentityProvider.token= \
    --ServerApp.allow_remote_access=true --ServerApp.trust_xheaders=true
