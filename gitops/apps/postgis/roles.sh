#!/bin/sh
# Gives each role its database and the password that its secret holds now; run again it changes what has changed. It
# waits for the server, which may be starting or recovering.
# Passwords go over standard input, never on a command line.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
PGPASSWORD=$(cat /secrets/admin/password)
PGOPTIONS="-c client_min_messages=warning"
export PGPASSWORD PGOPTIONS PGHOST="${PGHOST:-postgis}" PGPORT=5433 PGUSER=postgres PGDATABASE=postgres
ask() { psql --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 "$@"; }
until pg_isready --quiet; do sleep 1; done
for role in geocrop mlflow argo; do
    word=$(cat "/secrets/$role/password")
    case $word in *[!A-Za-z0-9_-]*) echo "the password of $role has other letters than those of a URL" >&2; exit 65 ;; esac
    echo "SELECT 'CREATE ROLE $role LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$role') \\gexec
          ALTER ROLE $role PASSWORD '$word';
          SELECT 'CREATE DATABASE $role OWNER $role' WHERE NOT EXISTS
              (SELECT FROM pg_database WHERE datname = '$role') \\gexec
          REVOKE ALL ON DATABASE $role FROM PUBLIC;" | ask >/dev/null
    echo "role $role is as its secret says"
done
PGDATABASE=geocrop ask -c 'CREATE EXTENSION IF NOT EXISTS postgis' >/dev/null
