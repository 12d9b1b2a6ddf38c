#!/bin/sh
# Dumps every database into /work, each whole or not at all.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
PGPASSWORD=$(cat /secrets/postgis-admin)
export PGPASSWORD PGHOST=postgis PGPORT=5433 PGUSER=postgres
for database in geocrop mlflow argo; do
    pg_dump --format=custom --compress=6 --file="/work/$database.part" --dbname="$database"
    mv "/work/$database.part" "/work/$database.dump"
done
