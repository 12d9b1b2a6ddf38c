"""`geocrop doctor`: what is wrong with an installation, and what to do about it."""

import argparse
import datetime as dt
import shutil
import socket
import ssl
import subprocess
import sys

from api.installation import Finding, certificate, find_wrong, items_of
from steps.errors import UsageError

_HOSTS = ("app.portfolio", "tiles.portfolio", "s3", "ml", "lab", "git", "cd")
_KINDS = ("pods", "resourcequotas", "persistentvolumeclaims", "cronjobs")
_PATIENCE_SECONDS = 10.0
_WRONG = 1


def run(arguments: argparse.Namespace) -> int:
    """Look at the cluster through kubectl and, with a domain, at every host; 1 when something is wrong."""
    now = dt.datetime.now(dt.UTC)
    found = look_at_cluster(arguments.namespace, now)
    if arguments.domain:
        for name in _HOSTS:
            found += look_at_host(f"{name}.{arguments.domain}", now)
    for one in found:
        sys.stdout.write(f"{one.what}\n    {one.remedy}\n")
    sys.stdout.write("nothing is wrong\n" if not found else "")
    return _WRONG if found else 0


def look_at_cluster(namespace: str, now: dt.datetime) -> list[Finding]:
    """What Kubernetes says."""
    lists = {kind: items_of(kubectl("-n", namespace, "get", kind)) for kind in _KINDS}
    lists |= {kind: items_of(kubectl("get", kind)) for kind in ("nodes", "priorityclasses")}
    lists["applications"] = items_of(kubectl("-n", "argocd", "get", "applications.argoproj.io"))
    return find_wrong(lists, now)


def kubectl(*arguments: str) -> str:
    """What it prints as JSON; raises UsageError where it is not here or may not."""
    program = shutil.which("kubectl")
    if program is None:
        raise UsageError("kubectl is not here", "install it, or run this on the node")
    command = [program, *arguments, "-o", "json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60)  # noqa: S603
    if done.returncode:
        raise UsageError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()[:300]}", "is KUBECONFIG right?")
    return done.stdout


def look_at_host(host: str, now: dt.datetime) -> list[Finding]:
    """Whether a host is found, answers over TLS, and with what certificate."""
    try:
        with (
            socket.create_connection((host, 443), timeout=_PATIENCE_SECONDS) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured,
        ):
            told = secured.getpeercert() or {}
    except socket.gaierror:
        return [Finding(f"{host} is not found", "let its name lead to the node")]
    except ssl.SSLCertVerificationError as error:
        return [Finding(f"{host}: {error.verify_message}", "kubectl -n geocrop describe certificate")]
    except OSError as error:
        return [Finding(f"{host} does not answer: {error}", "is Traefik running, is port 443 open?")]
    ends = dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(str(told["notAfter"])), dt.UTC)
    return certificate(host, ends, now)
