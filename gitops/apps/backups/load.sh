#!/bin/sh
# Loads the dumps in /backup into databases that the roles' job has made; what is there goes. One transaction each.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
PGPASSWORD=$(cat /secrets/postgis-admin)
export PGPASSWORD PGHOST=postgis PGPORT=5433 PGUSER=postgres
for database in geocrop mlflow argo; do
    pg_restore --clean --if-exists --exit-on-error --single-transaction --dbname="$database" "/backup/$database.dump"
    echo "database $database is as it was"
done
