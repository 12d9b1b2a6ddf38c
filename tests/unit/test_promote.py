import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from steps.cli import main
from steps.models import save_model
from steps.oof import OOF_FILE, encode_oof
from steps.registry import list_models, log_and_register, model_folder, resolve
from steps.settings import Settings
from tests.contenders import N, any_contender

TRAIN = ["train", "--table", "nowhere.csv", "--name", "crops"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def register(settings: Settings, wrong: Any = (), name: str = "crops", *, oof: bool = True, **changes: Any) -> str:
    """A version that is wrong about some of the samples held out; its number."""
    contender = any_contender(wrong, **changes)
    data = f"{name} {len(list_models(settings))}".encode()
    card = msgspec.structs.replace(contender.card, name=name, version="", model_sha256=hashlib.sha256(data).hexdigest())
    folder = settings.home / "made" / hashlib.sha256(data).hexdigest()
    save_model(folder, card, data, {OOF_FILE: encode_oof(contender.oof)} if oof else {})
    return log_and_register(folder, settings).version


def champion(settings: Settings) -> str:
    """The version that `crops@champion` is now."""
    return resolve("crops@champion", settings)[0].version


def test_a_better_challenger_is_pinned_in_a_file(registry: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The file names version, digest and what it was compared with; the alias waits for the commit."""
    register(registry, range(0, N, 5))
    register(registry)
    assert main(["promote", "crops"]) == 0
    found = json.loads(Path("gitops/models/crops.json").read_text(encoding="utf-8"))
    ref, _ = resolve("crops/2", registry)
    assert (found["name"], found["version"], found["digest"], found["over"]) == ("crops", "2", ref.digest, "1")
    assert found["comparison"]["samples"] == N
    assert found["comparison"]["left_out"] == 0
    assert champion(registry) == "1"
    said = capsys.readouterr().out
    assert "balanced accuracy" in said
    assert "600 samples in 30 units, identical folds" in said
    assert "geocrop promote --apply gitops/models/crops.json" in said


def test_a_worse_challenger_is_refused(registry: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 65, the reasons with numbers, and no file."""
    register(registry)
    register(registry, range(0, N, 5))
    assert main(["promote", "crops", "2"]) == 65
    assert "crops/2 does not replace crops/1: balanced accuracy 0.800 against 1.000" in capsys.readouterr().err
    assert not Path("gitops").exists()


def test_a_refusal_keeps_the_file_that_was(registry: Settings) -> None:
    """What is pinned stays pinned."""
    register(registry)
    assert main(["promote", "crops", "1"]) == 0
    before = Path("gitops/models/crops.json").read_bytes()
    register(registry, range(0, N, 5))
    assert main(["promote", "crops"]) == 65
    assert Path("gitops/models/crops.json").read_bytes() == before


def test_the_file_is_applied_once_it_is_merged(registry: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The alias follows, the version remembers over whom; applied again, nothing changes."""
    register(registry, range(0, N, 5))
    register(registry)
    main(["promote", "crops"])
    assert main(["promote", "--apply", "gitops/models/crops.json"]) == 0
    assert champion(registry) == "2"
    assert list_models(registry)[1].former == "1"
    assert main(["promote", "--apply", "gitops/models/crops.json"]) == 0
    assert capsys.readouterr().out.endswith("crops/2 is the champion\n")


def test_the_same_promotion_gives_the_same_bytes(registry: Settings) -> None:
    """Before and after it is applied."""
    register(registry, range(0, N, 5))
    register(registry)
    path = Path("gitops/models/crops.json")
    written = []
    for _ in range(2):
        main(["promote", "crops", "2"])
        written.append(path.read_bytes())
    main(["promote", "--apply", str(path)])
    main(["promote", "crops", "2"])
    assert {*written, path.read_bytes()} == {written[0]}


def test_the_gate_of_ci_makes_the_same_comparison(registry: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """It passes what may be merged and changes nothing."""
    register(registry, range(0, N, 5))
    register(registry)
    main(["promote", "crops"])
    compared = capsys.readouterr().out.splitlines()[:5]
    assert main(["promote", "--check", "gitops/models/crops.json"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:5] == compared
    assert said[-1] == "crops/2 may become the champion: merge gitops/models/crops.json"
    assert champion(registry) == "1"


@pytest.mark.parametrize("mode", ["--check", "--apply"])
def test_a_pin_of_a_worse_model_passes_neither(
    registry: Settings, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    """Whoever edits the file by hand, or was overtaken by a better champion, is told so."""
    register(registry)
    register(registry, range(0, N, 5))
    pin(registry, "2", Path("crops.json"))
    assert main(["promote", mode, "crops.json"]) == 65
    assert "does not replace crops/1" in capsys.readouterr().err
    assert champion(registry) == "1"


def test_a_pin_of_another_digest_passes_not(registry: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The registry's version is not the model that was reviewed."""
    register(registry)
    Path("crops.json").write_text('{"name": "crops", "version": "1", "digest": "00"}', encoding="utf-8")
    assert main(["promote", "--check", "crops.json"]) == 65
    assert "pins digest 00" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "give one of them"),
        (["crops", "--check", "crops.json"], 2, "give one of them"),
        (["--check", "a.json", "--apply", "a.json"], 2, "give one of them"),
        (["--check", "nowhere.json"], 2, "nowhere.json cannot be read"),
        (["--check", "damaged.json"], 65, "damaged.json is no promotion"),
        (["nobody"], 65, "nobody/challenger is not registered"),
        (["crops", "9"], 65, "crops/9 is not registered"),
        (["crops", "latest"], 65, "crops/latest is not registered"),
        (["crops"], 65, "crops/challenger is not registered"),
    ],
)
def test_bad_input_is_said(
    registry: Settings, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    """In one line, with what to do; nothing is written."""
    register(registry)
    Path("damaged.json").write_text('{"name": 3', encoding="utf-8")
    assert main(["promote", *arguments]) == code
    assert said in capsys.readouterr().err
    assert not Path("gitops").exists()


def test_a_version_without_predictions_cannot_be_compared(
    registry: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was registered without any is refused by name."""
    register(registry)
    register(registry, oof=False)
    assert main(["promote", "crops"]) == 65
    assert "holds no out-of-fold predictions" in capsys.readouterr().err
    assert not (model_folder(resolve("crops/2", registry)[0], registry) / OOF_FILE).exists()


def test_a_champion_that_was_never_measured_is_followed_by_any_that_was(
    registry: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else nothing could ever replace a model of one parcel."""
    register(registry, oof=False)
    register(registry)
    assert main(["promote", "crops"]) == 0
    assert "crops/1 was never measured" in capsys.readouterr().out


def test_a_registry_that_is_away_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], free_port: int
) -> None:
    """Exit code 75 for every command that needs it, before it reads anything."""
    from steps.settings import settings

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port}")
    settings.cache_clear()
    for arguments in (["promote", "crops"], ["models"], ["evaluate", "crops", "--table", "any.csv"], TRAIN):
        assert main(arguments) == 75
        assert "does not answer" in capsys.readouterr().err


def test_models_are_listed_with_what_decides(registry: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each with aliases, scores, what they were measured on, and drift; the same as JSON."""
    register(registry, card={"scores": {"parcels held out": {"balanced accuracy": 0.7125, "overall accuracy": 0.8}}})
    register(registry)
    assert main(["models"]) == 0
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["model", "aliases", "balanced"]
    assert first.split()[:4] == ["crops/1", "champion", "0.713", "0.800"]
    assert second.split()[:3] == ["crops/2", "challenger", "-"]
    assert main(["models", "--json"]) == 0
    assert [one["aliases"] for one in json.loads(capsys.readouterr().out)] == [["champion"], ["challenger"]]


def task(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what a task of the Taskfile runs, in a folder that has the same programs."""
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(sys.prefix)
    (script,) = yaml.safe_load((ROOT / "Taskfile.yml").read_text(encoding="utf-8"))["tasks"][name]["cmds"]
    return subprocess.run(["sh", "-euc", script], cwd=folder, capture_output=True, encoding="utf-8", check=False)


def test_the_tasks_of_ci_judge_every_pin(registry: Settings, tmp_path: Path) -> None:
    """The check passes without pins and with good ones, and is 65 for a worse one; applying moves the alias."""
    assert task("models-check", tmp_path).returncode == 0
    register(registry, range(0, N, 5))
    register(registry)
    main(["promote", "crops"])
    assert task("models-check", tmp_path).returncode == 0
    assert champion(registry) == "1"
    assert task("models-apply", tmp_path).returncode == 0
    assert champion(registry) == "2"
    pin(registry, register(registry, range(0, N, 4)), Path("gitops/models/crops.json"))
    refused = task("models-check", tmp_path)
    assert refused.returncode == 65
    assert "crops/3 does not replace crops/2" in refused.stderr


def pin(settings: Settings, version: str, path: Path) -> None:
    """Write the file by hand, without any comparison."""
    ref, _ = resolve(f"crops/{version}", settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": "crops", "version": version, "digest": ref.digest}), encoding="utf-8")


def test_going_back_is_always_allowed(registry: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The champion before, which was worse on paper, is back with a reverted commit; no other worse one is."""
    for wrong in (range(0, N, 5), (), range(0, N, 4)):
        register(registry, wrong)
    main(["promote", "crops", "2"])
    main(["promote", "--apply", "gitops/models/crops.json"])
    pin(registry, "3", Path("crops.json"))
    assert main(["promote", "--apply", "crops.json"]) == 65
    pin(registry, "1", Path("crops.json"))
    assert main(["promote", "--check", "crops.json"]) == 0
    assert main(["promote", "--apply", "crops.json"]) == 0
    assert champion(registry) == "1"
    assert "was the champion before" in capsys.readouterr().out


def test_ci_runs_the_tasks() -> None:
    """The check on pull requests, applying on main alone; no secret is spelt out."""
    workflow = yaml.safe_load((ROOT / ".gitea/workflows/models.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["promotion"]["steps"]
    runs = {step["if"].split("'")[1]: step["run"] for step in steps if "run" in step}
    assert runs == {"pull_request": "./task models-check", "push": "./task models-apply"}
    triggers = workflow[True]  # YAML reads `on` so
    assert triggers["push"]["branches"] == ["main"]
    environment = workflow["jobs"]["promotion"]["env"]
    assert all(value.startswith(("${{ vars.", "${{ secrets.")) for value in environment.values())
