#!/bin/sh
# numba uses a cache only where it may also write, so the image's own is laid where the pod can.
[ -e "$NUMBA_CACHE_DIR" ] || cp -r /opt/geocrop/numba "$NUMBA_CACHE_DIR" 2>/dev/null
exec /opt/geocrop/bin/python -m steps.cli "$@"
