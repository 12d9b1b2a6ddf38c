#!/bin/sh
# Writes the configuration, brings the database up to date, makes the administrator on an empty volume, then serves.
# Secrets stay in files that Gitea itself reads.
set -eu
umask 077
export HOME=/data/home USER=git
mkdir -p "$HOME" /data/gitea
user=$(id -un 2>/dev/null) || user=git # for a number without a name, some `id` print the number, and fail
cat >/tmp/app.ini <<END
APP_NAME = GeoCrop
RUN_MODE = prod
RUN_USER = $user
WORK_PATH = /data/gitea
[server]
PROTOCOL = http
HTTP_PORT = 3000
ROOT_URL = https://git.$DOMAIN/
LOCAL_ROOT_URL = http://localhost:3000/
DISABLE_SSH = true
OFFLINE_MODE = true
LFS_START_SERVER = true
LFS_JWT_SECRET_URI = file:/secrets/lfs-jwt-secret
[database]
DB_TYPE = sqlite3
PATH = /data/gitea/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY_URI = file:/secrets/secret-key
INTERNAL_TOKEN_URI = file:/secrets/internal-token
PASSWORD_HASH_ALGO = pbkdf2_hi
REVERSE_PROXY_TRUSTED_PROXIES = 10.0.0.0/8
[oauth2]
JWT_SECRET_URI = file:/secrets/jwt-secret
[service]
DISABLE_REGISTRATION = true
REQUIRE_SIGNIN_VIEW = false
[repository]
DEFAULT_PRIVATE = private
[actions]
ENABLED = true
[packages]
ENABLED = true
[cron.update_checker]
ENABLED = false
[metrics]
ENABLED = true
[log]
LEVEL = Warn
END
git_() { gitea --config /tmp/app.ini "$@"; }
said=$(git_ migrate 2>&1) || { printf '%s\n' "$said" >&2 && exit 1; } # what is wrong is said on either
# Gitea takes a password as an argument only: it is seen for a moment, inside this pod.
word=$(cat /secrets/admin-password)
if git_ admin user list --admin | grep -qw frankchine; then
    git_ admin user change-password --username frankchine --password "$word" --must-change-password=false >/dev/null
else
    git_ admin user create --admin --username frankchine --email "frankchine@$DOMAIN" --password "$word" \
        --must-change-password=false >/dev/null
fi
exec gitea --config /tmp/app.ini web
