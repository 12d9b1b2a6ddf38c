#!/bin/sh
# The page may ask its own host, and those of PAGE_HOSTS ("https://tiles.example https://s3.example"), for tiles and maps.
set -eu
sed "s|@hosts@|${PAGE_HOSTS:-}|g" /etc/geocrop/nginx.conf > /tmp/nginx.conf
exec nginx -c /tmp/nginx.conf -e stderr
