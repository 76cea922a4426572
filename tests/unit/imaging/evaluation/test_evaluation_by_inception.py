"""A trial judged by Inception, in-process, with weights made by rule: its columns, metrics, reference file and keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import assay
import inception_by_rule
from adm import checkpoints, presets
from adm.models import build
from adm.workload import workload
from asked_checks import refuse
from assay.errors import ConfigError, UserError
from assay.execution import inline
from assay.execution.work import to_numpy
from assay.home import Home
from assay.store import Store, StoredResult
from assay.sweep import Sweep
from assay.workload import Stage, topological
from imaging import InceptionV3, inception_score, kid, precision_recall
from imaging.command.cli import app
from imaging.data import images_of_rows
from imaging.data.digits import digits
from imaging.evaluation import graph as evaluation_graph
from imaging.extractors import inception_weights
from imaging.extractors.features import as_rgb
from imaging.reference.files import read_reference

pytestmark = pytest.mark.slow

NUM_SAMPLES, NUM_REFERENCE, NUM_PAIRED = 5, 7, 6


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv(inception_weights.ENVIRONMENT, raising=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """weights.pth of Inception by rule, and model.safetensors, a network of the digits that was never trained."""
    path = tmp_path_factory.mktemp("weights")
    torch.save(inception_by_rule.weights(), path / "weights.pth")
    model = presets.load("digits").model
    torch.manual_seed(0)
    checkpoints.save(path / "model.safetensors", build(model).state_dict(), model)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def resolved(folder: Path, **overrides: Any) -> Any:
    return workload.resolve("digits", settings(folder, **overrides))


def settings(folder: Path, **overrides: Any) -> dict[str, Any]:
    values = {
        "train.checkpoint": str(folder / "model.safetensors"),
        "classifier": None,
        "evaluate.extractor": "inception",
        "evaluate.num_samples": NUM_SAMPLES,
        "evaluate.num_reference": NUM_REFERENCE,
        "sample.steps": 2,
        "sample.precision": "fp32",
        "sample.batch_size": 3,
        **{name.replace("__", "."): value for name, value in overrides.items()},
    }
    return {name: value for name, value in values.items() if value != "unset"}


def graph(folder: Path, **overrides: Any) -> dict[str, Stage]:
    stages = topological(workload.stages(resolved(folder, **overrides)))
    return {stage.name: stage for stage in stages}


def compute(stage: Stage, store: Store, told: list[str]) -> StoredResult:
    refuse(topological([stage]))
    for needed in topological([stage]):
        if store.get(needed.key) is None:
            inline.execute(needed, store, 1, lambda event: told.append(event.message) if event.message else None)
    result = store.get(stage.key)
    assert result is not None
    return result


@pytest.fixture(scope="module")
def by_rule(folder: Path) -> dict[str, Any]:
    return {"evaluate__inception_weights": str(folder / "weights.pth")}


@pytest.fixture(scope="module")
def trial(folder: Path, store: Store, by_rule: dict[str, Any]) -> Iterator[tuple[dict[str, Stage], list[str]]]:
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation_graph, "NUM_PAIRED", NUM_PAIRED)
        stages, told = graph(folder, **by_rule), []
    compute(stages["evaluate"], store, told)
    yield stages, told
    torch.set_num_threads(threads)


def test_every_image_has_the_networks_features(
    folder: Path, store: Store, trial: tuple[dict[str, Stage], list[str]]
) -> None:
    stages, _ = trial
    drawn = store.get(stages["features"].key)
    assert drawn is not None
    rows = to_numpy(drawn.read(["image", "features", "spatial", "logits"]))
    network = InceptionV3(folder / "weights.pth", any_weights=True)
    seen = network(torch.from_numpy(as_rgb(rows["image"])).permute(0, 3, 1, 2))
    for column, expected in {"features": seen.pool, "spatial": seen.spatial, "logits": seen.logits}.items():
        assert rows[column].shape == tuple(expected.shape)
        np.testing.assert_allclose(rows[column], expected, rtol=1e-3, atol=1e-4)


def test_the_metrics_are_the_evaluators_on_the_exported_reference(
    tmp_path: Path, folder: Path, store: Store, trial: tuple[dict[str, Stage], list[str]]
) -> None:
    """`adm-evaluate` on the files that the stages leave: the same figures by another way."""
    stages, told = trial
    evaluated, exported, drawn, reference = (
        store.get(stages[name].key) for name in ("evaluate", "statistics", "features", "reference")
    )
    assert evaluated is not None
    assert exported is not None
    assert drawn is not None
    assert reference is not None
    rows = to_numpy(drawn.read(["image", "features", "logits"]))
    np.savez(tmp_path / "samples.npz", as_rgb(rows["image"]))
    path = exported.file("reference.npz")
    command = CliRunner().invoke(
        app,
        [*map(str, (path, tmp_path / "samples.npz", "--inception", folder / "weights.pth")), "--any-weights", "--json"],
    )
    assert command.exit_code == 0, command.stderr
    name = f"fd_{inception_weights.extractor_name(hashlib.sha256((folder / 'weights.pth').read_bytes()).hexdigest())}"
    figures = {key: of["value"] for key, of in json.loads(command.stdout)["samples"][0]["metrics"].items()}
    metrics = dict(evaluated.metrics)
    assert set(figures) == {"inception_score", name, f"s{name}", "precision", "recall"}
    for key, value in figures.items():
        assert metrics[key] == pytest.approx(value, rel=1e-4), key
    against = to_numpy(reference.read(["features"]))["features"][:NUM_PAIRED]
    assert metrics["inception_score"] == pytest.approx(inception_score(rows["logits"]), rel=1e-9)
    assert (metrics["precision"], metrics["recall"]) == precision_recall(against, rows["features"])
    assert metrics["kid"] == pytest.approx(kid(against, rows["features"]), rel=1e-9)
    assert (metrics["num_samples"], metrics["num_reference"]) == (NUM_SAMPLES, NUM_REFERENCE)
    assert metrics["num_reference_images"] == NUM_PAIRED
    assert "fid" not in metrics
    assert set(workload.metrics(resolved(folder, evaluate__inception_weights=str(folder / "weights.pth")))) <= set(
        metrics
    )
    assert evaluated.notes["extractor"] == name.removeprefix("fd_")
    about_few = [line for line in told if "leave the covariance singular" in line]
    assert [line.split(": ")[1] for line in about_few] == ["reference", "samples"]
    found = read_reference(path)
    assert (found.extractor, found.num_images) == (name.removeprefix("fd_"), NUM_REFERENCE)
    assert found.images is not None
    assert found.images.shape == (NUM_PAIRED, 8, 8, 3)
    images = np.concatenate(list(found.images.batches(4)))
    assert np.array_equal(images[..., :1], digits().read(images_of_rows("shuffled", 1797)[:NUM_PAIRED]).images)


def test_an_exported_reference_is_compared_with_as_the_data_was(
    tmp_path: Path, folder: Path, store: Store, by_rule: dict[str, Any], trial: tuple[dict[str, Stage], list[str]]
) -> None:
    stages, _ = trial
    result = store.get(stages["evaluate"].key)
    exported = store.get(stages["statistics"].key)
    assert result is not None
    assert exported is not None
    path = tmp_path / "reference.npz"
    path.write_bytes(exported.file("reference.npz").read_bytes())
    imported = graph(folder, evaluate__reference=str(path), **by_rule)
    assert imported["features"].key == stages["features"].key
    again = compute(imported["evaluate"], store, [])
    for name, value in result.metrics.items():
        assert again.metrics[name] == pytest.approx(value, rel=1e-4), name
    assert str(again.notes["reference"]).startswith("reference.npz ")
    before = imported["statistics"].key
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "mu": arrays["mu"] + 1})
    assert graph(folder, evaluate__reference=str(path), **by_rule)["statistics"].key != before
    with pytest.raises(UserError, match=r"reference\.npz changed since the sweep was planned; run the sweep again"):
        refuse(imported.values())


def test_statistics_that_do_not_say_what_made_them_are_warned_of_and_passed_on_as_such(
    tmp_path: Path, folder: Path, store: Store, by_rule: dict[str, Any], trial: tuple[dict[str, Stage], list[str]]
) -> None:
    """As a published file, compared with samples that are seen by other weights."""
    exported = store.get(trial[0]["statistics"].key)
    assert exported is not None
    arrays = dict(np.load(exported.file("reference.npz")))
    path = tmp_path / "published.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if name not in ("extractor", "num_images")})
    told: list[str] = []
    result = compute(graph(folder, evaluate__reference=str(path), **by_rule)["evaluate"], store, told)
    assert [line for line in told if f"{path} does not say what made its statistics" in line]
    assert "num_reference" not in result.metrics, "nobody knows how many images the statistics are of"
    assert result.metrics["num_reference_images"] == NUM_PAIRED
    again = store.get(graph(folder, evaluate__reference=str(path), **by_rule)["statistics"].key)
    assert again is not None
    assert read_reference(again.file("reference.npz")).extractor is None
    saved = tmp_path / "saved.npz"
    np.savez(tmp_path / "samples.npz", arrays["arr_0"])
    files = (path, tmp_path / "samples.npz", "--inception", folder / "weights.pth", "--save-reference", saved)
    command = CliRunner().invoke(app, [*map(str, files), "--any-weights"])
    assert command.exit_code == 0, command.stderr
    assert f"{path} does not say what made its statistics" in command.stderr
    assert read_reference(saved).extractor is None


class TestReferenceFiles:
    def saved(self, path: Path, **arrays: Any) -> str:
        np.savez(path, **arrays)
        return str(path)

    def statistics(self) -> dict[str, Any]:
        return {"mu": np.zeros(2048), "sigma": np.eye(2048)}

    def test_statistics_alone_have_no_precision_and_no_images_to_show(
        self, tmp_path: Path, folder: Path, by_rule: dict[str, Any]
    ) -> None:
        path = self.saved(tmp_path / "ref.npz", **self.statistics())
        stages = graph(folder, evaluate__reference=path, **by_rule)
        assert "reference" not in stages
        metrics = workload.metrics(resolved(folder, evaluate__reference=path, **by_rule))
        assert [name.split("-")[0] for name in metrics] == ["fd_inception", "inception_score"]
        with pytest.raises(
            ConfigError, match=r"figures\.draw: needs images to show, but .*ref\.npz has none \(arr_0\)"
        ):
            resolved(folder, evaluate__reference=path, figures__draw=["neighbours"], figures__num_samples=2, **by_rule)

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            (
                {"mu": np.zeros(64), "sigma": np.eye(64)},
                r"got \(64,\) and \(64, 64\): this reference was made by another",
            ),
            ({"mu": np.zeros(2048), "sigma": np.eye(2048), "extractor": np.array("clip")}, "another extractor, clip"),
            ({"mu": np.zeros(2048)}, "has mu without sigma"),
            ({"mu": np.full(2048, np.nan), "sigma": np.eye(2048)}, "mu and sigma: mean and covariance must be finite"),
        ],
        ids=["64 features", "clip", "half", "NaN"],
    )
    def test_what_another_extractor_made_or_is_damaged_is_refused_before_anything_starts(
        self, tmp_path: Path, folder: Path, by_rule: dict[str, Any], arrays: dict[str, Any], message: str
    ) -> None:
        path = self.saved(tmp_path / "ref.npz", **arrays)
        with pytest.raises(UserError, match=rf"statistics: {path}.*{message}"):
            refuse(graph(folder, evaluate__reference=path, **by_rule).values())

    def test_what_is_truncated_absent_or_of_another_shape_is_refused_with_its_line(
        self, tmp_path: Path, folder: Path, by_rule: dict[str, Any]
    ) -> None:
        images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
        content = Path(self.saved(tmp_path / "ref.npz", arr_0=images)).read_bytes()
        (tmp_path / "short.npz").write_bytes(content[: len(content) // 2])
        self.saved(tmp_path / "grey.npz", arr_0=images[..., 0])
        self.saved(tmp_path / "cast.npz", arr_0=images // 200)
        self.saved(tmp_path / "few.npz", arr_0=images[:3])
        for name, message in {
            "short.npz": "is no npz file, or truncated",
            "absent.npz": "does not exist; leave it out to compare with the data",
            "grey.npz": r"must be \(N, H, W, 3\); got \(40, 8, 8\); make grey images RGB",
            "cast.npz": r"no value above 1: images in \[0, 1\]",
            "few.npz": "has 3 images; precision_recall_k 3 needs 4 or more",
        }.items():
            with pytest.raises(ConfigError, match=rf"^evaluate\.reference: .*{message}"):
                resolved(folder, evaluate__reference=str(tmp_path / name), **by_rule)
        large = self.saved(tmp_path / "large.npz", arr_0=images.repeat(2, axis=1).repeat(2, axis=2))
        with pytest.raises(UserError, match=r"reference: .*large\.npz.*16×16"):
            refuse(graph(folder, evaluate__reference=large, **by_rule).values())


class TestWeights:
    def test_absent_ones_do_not_hide_what_is_wrong_with_a_reference(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.delenv("ADM_INCEPTION_WEIGHTS", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        np.savez(tmp_path / "reference.npz", mu=np.zeros(64), sigma=np.eye(64))
        overrides = {"evaluate.extractor": "inception", "evaluate.reference": str(tmp_path / "reference.npz")}
        (leaf,) = workload.stages(workload.resolve("tiny_digits", overrides))
        with pytest.raises(UserError, match=r"reference\.npz.*2048"):
            refuse(topological([leaf.inputs["statistics"]]))

    def test_absent_ones_are_said_before_anything_starts(self, tmp_path: Path, folder: Path) -> None:
        """Once for all stages, with what to download, from where, and where to put it."""
        about = {"version": 1, "name": "weights", "workload": "adm", "base": "digits", "metric": "fid", "mode": "min"}
        sweep = Sweep.model_validate(about | {"config": settings(folder)})
        with pytest.raises(UserError) as caught:
            assay.run(sweep, Home(tmp_path / "results"), executor="inline")
        cached = tmp_path / "home" / ".cache" / "adm" / inception_weights.FILE_NAME
        assert str(caught.value).count(inception_weights.URL) == 1
        assert f"curl -L -o {cached} {inception_weights.URL}" in str(caught.value)
        assert str(caught.value).endswith("Nothing was started.")

    def test_other_weights_are_another_result_and_never_fid(
        self, tmp_path: Path, folder: Path, by_rule: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        published, made = graph(folder), graph(folder, **by_rule)
        for name in ("reference", "statistics", "features", "evaluate"):
            assert published[name].key != made[name].key
        assert workload.metrics(resolved(folder))[:2] == ["fid", "sfid"]
        assert not {"fid", "sfid"} & set(workload.metrics(resolved(folder, **by_rule)))
        in_bf16 = graph(folder, evaluate__inception_precision="bf16", **by_rule)
        assert in_bf16["features"].key != made["features"].key
        assert in_bf16["evaluate"].config["conditions"]["extractor"].endswith("-bf16")
        monkeypatch.setenv(inception_weights.ENVIRONMENT, str(folder / "weights.pth"))
        with pytest.raises(UserError, match="is not the published file of Inception's weights"):
            refuse(graph(folder).values())

    @pytest.mark.parametrize("content", [b"", b"no weights"])
    def test_a_file_that_holds_none_is_refused_before_anything_starts(
        self, tmp_path: Path, folder: Path, content: bytes
    ) -> None:
        (tmp_path / "mine.pth").write_bytes(content)
        with pytest.raises(UserError, match=r"mine\.pth is damaged or no checkpoint"):
            refuse(graph(folder, evaluate__inception_weights=str(tmp_path / "mine.pth")).values())

    def test_where_the_published_ones_are_does_not_matter(
        self, folder: Path, by_rule: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        weights = folder / "weights.pth"
        monkeypatch.setattr(inception_weights, "SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
        monkeypatch.setattr(inception_weights, "NUM_BYTES", weights.stat().st_size)
        absent = {name: stage.key for name, stage in graph(folder).items()}
        monkeypatch.setenv(inception_weights.ENVIRONMENT, str(weights))
        assert {name: stage.key for name, stage in graph(folder).items()} == absent
        refuse(graph(folder).values())
        assert workload.metrics(resolved(folder, **by_rule))[:2] == ["fid", "sfid"]

    def test_a_changed_file_is_another_stage_and_stops_what_was_planned(self, tmp_path: Path, folder: Path) -> None:
        path = tmp_path / "mine.pth"
        path.write_bytes((folder / "weights.pth").read_bytes())
        planned = graph(folder, evaluate__inception_weights=str(path))
        path.write_bytes(b"other")
        with pytest.raises(UserError, match=r"mine\.pth changed since the sweep was planned; run the sweep again"):
            refuse(planned.values())
        assert graph(folder, evaluate__inception_weights=str(path))["features"].key != planned["features"].key
        with pytest.raises(ConfigError, match=r"evaluate\.inception_weights: .*nowhere\.pth does not exist; download"):
            resolved(folder, evaluate__inception_weights=str(tmp_path / "nowhere.pth"))
