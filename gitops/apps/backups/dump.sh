#!/bin/sh
# Dumps every database into /backup, each whole or not at all.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
PGPASSWORD=$(cat /secrets/postgis-admin)
export PGPASSWORD PGHOST=postgis PGPORT=5433 PGUSER=postgres
for database in geocrop mlflow argo; do
    pg_dump --format=custom --compress=6 --file="/backup/$database.part" --dbname="$database"
    mv "/backup/$database.part" "/backup/$database.dump"
done
