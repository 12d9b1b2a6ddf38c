#!/bin/sh
# Makes the cluster of databases on an empty volume, then is the server. The server never runs before it is whole.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
export PGDATA=/data/pg
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    rm -rf /data/new
    initdb --pgdata=/data/new --username=postgres --pwfile=/secrets/admin/password --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --data-checksums >/dev/null
    mv /data/new "$PGDATA"
fi
word=$(cat /secrets/admin/password)
case $word in *[!A-Za-z0-9_-]*) echo "the administrator's password has other letters than those of a URL" >&2; exit 65 ;; esac
echo "ALTER ROLE postgres PASSWORD '$word'" |
    postgres --single -j -c config_file=/etc/postgis/postgresql.conf postgres >/dev/null
exec postgres -c config_file=/etc/postgis/postgresql.conf
