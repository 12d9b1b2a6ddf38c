"""A data set in the bucket of data sets, and the notebook of the docs, run in Jupyter's pod on it."""

import json
from collections.abc import Iterator
from pathlib import Path

from minio import Minio

from steps.landscape import Landscape
from tests.e2e.installation import Installation
from tests.e2e.stage import upload
from tests.programs import ROOT

NOTEBOOK = ROOT / "docs/notebooks/train-and-register.ipynb"
DATASETS = "geocrop-datasets"
FOLDER = "/lab/notebooks"


def store(place: Installation, port: int, secret: str) -> Minio:
    """The store, as the user of a secret sees it."""
    access_key, secret_key = keys_of(place, secret)
    return Minio(endpoint=f"127.0.0.1:{port}", access_key=access_key, secret_key=secret_key, secure=False)


def keys_of(place: Installation, secret: str) -> tuple[str, str]:
    """Access key and secret key of a user of the store."""
    return place.secret(secret, "access-key"), place.secret(secret, "secret-key")


def put_dataset(client: Minio, land: Landscape) -> None:
    """Catalog, labels and legend, as the notebook wants them."""
    upload(client, DATASETS, land.folder, "landscape/catalog/")
    client.fput_object(bucket_name=DATASETS, object_name="landscape/labels.geojson", file_path=str(land.labels))
    client.fput_object(bucket_name=DATASETS, object_name="landscape/legend.csv", file_path=str(land.legend))


def run_notebook(place: Installation, season: str) -> str:
    """What the notebook said, run in the pod as whoever works there would."""
    place.kube.run("exec", "-i", "deployment/jupyter", "--", *_write(NOTEBOOK.name), stdin=NOTEBOOK.read_text())
    environment = f"DATASET=s3://{DATASETS}/landscape SEASON={season}"
    command = f"cd {FOLDER} && env {environment} jupyter execute {NOTEBOOK.name} --output=done.ipynb"
    place.kube.run("exec", "deployment/jupyter", "--", "sh", "-c", command)
    text = place.kube.run("exec", "deployment/jupyter", "--", "cat", f"{FOLDER}/done.ipynb")
    return "\n".join(_said(text))


def save_work(place: Installation) -> str:
    """What the pod does before it ends; the commit that is in Git then."""
    place.kube.run("exec", "deployment/jupyter", "--", "sh", "/program/save.sh")
    command = ["git", "-C", FOLDER, "log", "-1", "--format=%s", "origin/main", "--stat"]
    return place.kube.run("exec", "deployment/jupyter", "--", *command)


def _write(name: str) -> list[str]:
    return ["sh", "-c", f"cat > {FOLDER}/{Path(name).name}"]


def _said(notebook: str) -> Iterator[str]:
    for cell in json.loads(notebook)["cells"]:
        for output in cell.get("outputs", []):
            yield "".join(output.get("text", []))
            for content in output.get("data", {}).values():
                yield "".join(content)
