#!/bin/sh
# Brings Debian's Chromium where there is none; says so, and fails, where that cannot be done.
set -u
chromium=${CHROMIUM:-/usr/bin/chromium}
[ -x "$chromium" ] && exit 0

skip() {
    printf '%s\n' "ui-e2e skipped: no Chromium at $chromium ($1); install the package chromium, or set CHROMIUM" >&2
    exit 1
}

[ -z "${CHROMIUM:-}" ] || skip "set by CHROMIUM"
command -v apt-get >/dev/null || skip "no apt-get here"
as_root=
if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || skip "neither root nor sudo without a password"
    as_root="sudo -n"
fi
export DEBIAN_FRONTEND=noninteractive
install() { $as_root apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null; }
install || { $as_root apt-get update -qq >/dev/null && install; } || skip "apt-get could not install it"
[ -x "$chromium" ] || skip "the package has it elsewhere"
