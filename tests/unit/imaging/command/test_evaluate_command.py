"""`adm-evaluate` on small npz files, with weights made by rule: its figures, what it prints, and what it refuses."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

import imaging
import inception_by_rule
from assay.errors import AssayWarning, UserError
from imaging import InceptionV3, Moments
from imaging.command import figures as inception_metrics
from imaging.command.cli import app
from imaging.extractors import inception_weights
from imaging.reference.files import read_reference, write_reference
from imaging.reference.npz_images import NpzImages

pytestmark = pytest.mark.slow

Array = npt.NDArray[Any]


def pictures(count: int, seed: int, side: int = 16) -> npt.NDArray[np.uint8]:
    """Random patches of colour, uint8 (count, side, side, 3)."""
    patches = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return patches.repeat(side // 4, axis=1).repeat(side // 4, axis=2)


def saved(path: Path, images: Array | None = None, /, **arrays: Array) -> Path:
    np.savez(path, **({} if images is None else {"arr_0": images}), **arrays)
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "rule.pth"
    torch.save(inception_by_rule.weights(), path)
    return path


def features(weights: Path, images: npt.NDArray[np.uint8]) -> dict[str, Array]:
    """Straight from the network, in one batch."""
    out = InceptionV3(weights, any_weights=True)(torch.from_numpy(images).permute(0, 3, 1, 2))
    return {name: value.numpy() for name, value in out.items()}


def frechet_of_few(first: Array, second: Array) -> float:
    """With fewer rows than columns, tr √(Σ₁ Σ₂) is the sum of the singular values of the rows' products: (N, M)."""
    left, right = ((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1) for rows in (first, second))
    root = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    return float(np.square(first.mean(0) - second.mean(0)).sum() + (left**2).sum() + (right**2).sum() - 2 * root)


def test_figures_are_those_of_the_metrics_on_the_features(tmp_path: Path, weights: Path) -> None:
    """From images in batches, compressed ones too; and the reference that is written holds what they were made of."""
    reference, samples = saved(tmp_path / "ref.npz", pictures(6, 1)), tmp_path / "samples.npz"
    np.savez_compressed(samples, pictures(5, 2))
    written_to = tmp_path / "new" / "written.npz"
    options = ["--inception", weights, "--any-weights", "--batch-size", 4, "--max-gib", 0.001, "--json"]
    options += ["--save-reference", written_to]
    result = run(reference, samples, *options)
    assert result.exit_code == 0, result.stderr
    out = json.loads(result.stdout)
    seen, against = features(weights, pictures(5, 2)), features(weights, pictures(6, 1))
    name = InceptionV3(weights, any_weights=True).extractor
    expected = {
        "inception_score": imaging.inception_score(seen["logits"]),
        f"fd_{name}": frechet_of_few(against["pool"].astype(float), seen["pool"].astype(float)),
        f"sfd_{name}": frechet_of_few(against["spatial"].astype(float), seen["spatial"].astype(float)),
    }
    expected["precision"], expected["recall"] = imaging.precision_recall(against["pool"], seen["pool"])
    metrics = out["samples"][0]["metrics"]
    assert list(metrics) == list(expected)
    for key, value in expected.items():
        assert metrics[key]["value"] == pytest.approx(value, rel=1e-4), key
        assert metrics[key]["num_samples"] == 5
        assert metrics[key]["extractor"] == name
        assert metrics[key]["arithmetic"] == "fp32"
        if key != "inception_score":
            assert metrics[key]["reference_sha256"] == hashlib.sha256(reference.read_bytes()).hexdigest()
            assert metrics[key]["num_reference"] == 6
    assert [warning.split(":")[0] for warning in out["warnings"]] == [
        "these are not the weights that FID is defined by; distances are called fd_" + name
        + " and are not comparable with published ones", str(samples), str(reference),
    ]  # fmt: skip
    written = read_reference(written_to)
    assert (written.extractor, written.num_images) == (name, 6)
    assert written.pool is not None
    assert written.images is not None
    np.testing.assert_allclose(written.pool.mean, against["pool"].mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(np.concatenate(list(written.images.batches(4))), pictures(6, 1))


def test_published_weights_give_the_published_evaluators_lines(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From statistics alone: without images there is no precision and no recall. And several files make a table."""
    monkeypatch.setattr(inception_weights, "NUM_BYTES", weights.stat().st_size)
    monkeypatch.setattr(inception_weights, "SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
    monkeypatch.setenv(inception_weights.ENVIRONMENT, str(weights))
    monkeypatch.setattr(imaging.metrics.trial, "frechet_distance", lambda first, second: len(first.mean) / 100)
    rng = np.random.default_rng(0)
    pool, spatial = (Moments.of(rng.random((4, dim))).gaussian for dim in (2048, 2023))
    reference, samples = tmp_path / "ref.npz", saved(tmp_path / "samples.npz", pictures(2, 2))
    write_reference(reference, pool, spatial, extractor="inception-2015-12-05")
    result = run(reference, samples)
    assert result.exit_code == 0, result.stderr
    assert re.fullmatch(
        r"Inception Score: \d\.\d+\nFID: 20\.48\nsFID: 20\.23\n"
        r"Precision: not computed: the reference has no images \(arr_0\)\n"
        r"Recall: not computed: the reference has no images \(arr_0\)\n",
        result.stdout,
    )
    assert "with 2 images for 2048 features, FID and sFID are far too high" in result.stderr
    of_fp32 = run(reference, samples, "--precision", "bf16")
    assert (of_fp32.exit_code, of_fp32.stdout) == (2, "")
    assert "another extractor, inception-2015-12-05, but the samples are measured with inception-2015-12-05-bf16" in (
        of_fp32.stderr
    )
    saved(reference, mu=pool.mean, sigma=pool.cov)
    in_bf16 = run(reference, samples, samples, "--precision", "bf16")
    assert "does not say what made its statistics; if Inception's published weights in fp32" in in_bf16.stderr
    assert "different numbers of images" not in in_bf16.stderr
    table = in_bf16.stdout.splitlines()
    assert table[0].split() == ["Samples", "N", "Inception", "Score", "FID", "sFID", "Precision", "Recall"]
    assert table[1] == table[2]
    assert table[1].split()[::4] == [str(samples), "—"]
    assert table[3] == "sFID: not computed: the reference has no mu_s and sigma_s, and no images"
    more = saved(tmp_path / "more.npz", pictures(3, 2))
    unequal = run(reference, samples, more)
    assert f"the files have different numbers of images ({samples} 2, {more} 3), and FID falls" in unequal.stderr
    refused = run(reference, samples, "--save-reference", tmp_path / "new.npz")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "is not written: the reference has no mu_s and sigma_s" in refused.stderr


def test_too_few_images_for_precision_and_recall_leave_the_other_figures(tmp_path: Path, weights: Path) -> None:
    """k = 3 takes four images of either side."""
    reference = saved(tmp_path / "ref.npz", pictures(4, 1))
    few, enough = saved(tmp_path / "few.npz", pictures(3, 2)), saved(tmp_path / "enough.npz", pictures(4, 2))
    options = ["--inception", weights, "--any-weights", "--max-gib", "inf"]  # no bound
    alone = run(reference, few, *options, "--json")
    assert alone.exit_code == 0, alone.stderr
    metrics = json.loads(alone.stdout)["samples"][0]["metrics"]
    why = "k = 3 needs more images on both sides; got 3 samples and 4 references"
    assert [key for key, metric in metrics.items() if metric["value"] is None] == ["precision", "recall"]
    assert metrics["precision"]["why"] == metrics["recall"]["why"] == why
    both = run(reference, enough, few, *options)
    *table, precision, recall = both.stdout.splitlines()
    assert [row.split()[-2:].count("—") for row in table[1:]] == [0, 2]
    assert (precision, recall) == (f"Precision: not computed: {why}", f"Recall: not computed: {why}")


def floats(low: float = 0.0, high: float = 1.0) -> Array:
    return np.random.default_rng(0).uniform(low, high, (8, 8, 8, 3)).astype(np.float32)


def with_nan() -> Array:
    images = floats()
    images[3, 2, 1] = np.nan
    return images


REFUSED: dict[str, tuple[Callable[[], dict[str, Array]], str]] = {
    "no arr_0": (lambda: {"images": pictures(4, 0)}, "has no array arr_0, where the images should be; it has images"),
    "in [0, 1]": (lambda: {"arr_0": floats()}, r"must be uint8.*got float32 from \S+ to \S+; write \(images \* 255\)"),
    "in [-1, 1]": (lambda: {"arr_0": floats(-1)}, r"got float32 from -\S+ to \S+; write \(\(images \+ 1\) \* 127.5\)"),
    "in [0, 255]": (lambda: {"arr_0": floats(0, 255)}, r"got float32; convert them with images.round\(\)"),
    "NaN": (lambda: {"arr_0": with_nan()}, "got float32 with NaN or infinity among the values"),
    "int64": (lambda: {"arr_0": pictures(4, 0).astype(int)}, r"got int64; convert them with images.astype"),
    "text": (lambda: {"arr_0": np.array(["a"])}, "images must be uint8, 0 to 255; got <U1"),
    "NCHW": (lambda: {"arr_0": pictures(4, 0).transpose(0, 3, 1, 2).copy()}, r"got \(4, 3, 16, 16\); that is \(N, 3"),
    "grey": (lambda: {"arr_0": pictures(4, 0)[..., 0].copy()}, r"got \(4, 16, 16\); make grey images RGB"),
    "Fortran": (lambda: {"arr_0": np.asfortranarray(pictures(4, 0))}, "Fortran order; write numpy.ascontiguousarray"),
    "one image": (lambda: {"arr_0": pictures(1, 0)}, "need at least 2 images; got 1"),
    "none": (lambda: {"arr_0": pictures(0, 0)}, r"must be \(N, H, W, 3\); got \(0, 16, 16, 3\)"),
    "black": (
        lambda: {"arr_0": np.zeros((4, 8, 8, 3), np.uint8)},
        r"the first 4 images are each of one colour.*\[0, 0",
    ),
    "same": (lambda: {"arr_0": pictures(1, 0).repeat(4, axis=0)}, "the first 4 images are all the same"),
    "cast": (
        lambda: {"arr_0": pictures(4, 0) // 200},
        "no value above 1: images in .0, 1. were converted to uint8 before",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_images_that_are_none_are_refused_in_one_line(tmp_path: Path, weights: Path, case: str) -> None:
    arrays, message = REFUSED[case]
    reference, samples = saved(tmp_path / "ref.npz", pictures(4, 1)), saved(tmp_path / "bad.npz", **arrays())
    result = run(reference, samples, "--inception", weights)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(message, result.stderr)
    assert result.stderr.startswith(f"adm-evaluate: {samples}")
    assert result.stderr.count("\n") == 1


def statistics(dim: int = 2048, names: tuple[str, str] = ("mu", "sigma"), value: float = 1.0) -> dict[str, Array]:
    return {names[0]: np.zeros(dim), names[1]: np.eye(dim) * value}


BAD_REFERENCES: dict[str, tuple[Callable[[], dict[str, Array]], str]] = {
    "empty": (
        lambda: {"other": np.zeros(1)},
        "is not a reference: it needs mu and sigma, or images in arr_0; got other",
    ),
    "spatial only": (lambda: statistics(2023, ("mu_s", "sigma_s")), "is not a reference"),
    "64 features": (
        lambda: statistics(64),
        r"got \(64,\) and \(64, 64\): this reference was made by another extractor",
    ),
    "2048 spatial": (lambda: {**statistics(), **statistics(2048, ("mu_s", "sigma_s"))}, "made by another extractor"),
    "half": (lambda: {"mu": np.zeros(2048)}, "has mu without sigma"),
    "NaN": (lambda: statistics(value=np.nan), "mu and sigma: mean and covariance must be finite"),
    "not symmetric": (
        lambda: {"mu": np.zeros(2048), "sigma": np.triu(np.ones((2048, 2048)))},
        "mu and sigma: covariance must be symmetric",
    ),
    "negative": (lambda: statistics(value=-1.0), "sigma is not a covariance: a variance on its diagonal is negative"),
    "complex": (
        lambda: {"mu": np.zeros(2048), "sigma": np.eye(2048) * 1j},
        "sigma must be real numbers; got complex128",
    ),
    "text": (lambda: {"mu": np.full(2048, "0"), "sigma": np.eye(2048)}, "mu must be real numbers; got <U1"),
    "a row": (lambda: {"mu": np.zeros((1, 2048)), "sigma": np.eye(2048)}, r"mean must be \(D,\) and covariance"),
    "many counts": (
        lambda: {**statistics(), "num_images": np.array([1, 2])},
        r"num_images must be one count; got int64",
    ),
    "no count": (
        lambda: {**statistics(), "num_images": np.array("many")},
        "num_images must be one count; got <U4 'many'",
    ),
    "none of them": (lambda: {**statistics(), "num_images": np.array(0)}, "num_images must be one count; got int64 0"),
    "pickled": (lambda: {"mu": np.array([{}]), "sigma": np.eye(2048)}, "mu cannot be read: Object arrays cannot"),
}


@pytest.mark.parametrize("case", BAD_REFERENCES)
def test_references_that_are_none_are_refused_in_one_line(tmp_path: Path, weights: Path, case: str) -> None:
    arrays, message = BAD_REFERENCES[case]
    reference, samples = saved(tmp_path / "ref.npz", **arrays()), saved(tmp_path / "samples.npz", pictures(4, 1))
    result = run(reference, samples, "--inception", weights)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(message, result.stderr)
    assert result.stderr.startswith(f"adm-evaluate: {reference}")
    assert result.stderr.count("\n") == 1


def test_damaged_and_absent_files_are_refused(tmp_path: Path, weights: Path) -> None:
    good = saved(tmp_path / "good.npz", pictures(40, 1, side=32))
    content = good.read_bytes()
    short, flipped = tmp_path / "short.npz", tmp_path / "flipped.npz"
    short.write_bytes(content[: len(content) // 2])
    flipped.write_bytes(content[:-2000] + bytes([content[-2000] ^ 1]) + content[-1999:])
    for bad, message in {
        short: "is no npz file, or truncated: File is not a zip file. Copy it again",
        tmp_path / "absent.npz": "does not exist; an npz file is needed",
        tmp_path: "contains no images; looked for .png, .jpg",
    }.items():
        for files in ((good, bad), (bad, good)):
            result = run(*files, "--inception", weights)
            assert result.exit_code == 2
            assert f"adm-evaluate: {bad} {message}" in result.stderr
    with pytest.raises(UserError, match=r"flipped\.npz is damaged: Bad CRC-32"):
        list(NpzImages.open(flipped).batches(7))


def archive(path: Path, name: str, flags: int = 0, method: int = 0) -> Path:
    """A zip file of one array under a name, its headers altered: 1 in `flags` encrypts, an odd `method` compresses."""
    content = io.BytesIO()
    np.save(content, pictures(4, 1))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, content.getvalue())
    altered = bytearray(path.read_bytes())
    central = altered.rfind(b"PK\x01\x02")
    altered[6] |= flags
    altered[8] |= method
    altered[central + 8] |= flags
    altered[central + 10] |= method
    path.write_bytes(altered)
    return path


def test_archives_that_are_no_npz_files_are_refused_in_one_line(tmp_path: Path, weights: Path) -> None:
    good = saved(tmp_path / "good.npz", pictures(4, 1))
    (tmp_path / "loop.npz").symlink_to("loop.npz")
    os.mkfifo(tmp_path / "fifo.npz")
    for bad, message in {
        archive(
            tmp_path / "bare.npz", "arr_0"
        ): "has no array arr_0, where the images should be; it has arr_0 (no array)",
        archive(tmp_path / "locked.npz", "arr_0.npy", flags=1): "is damaged: File 'arr_0.npy' is encrypted",
        archive(tmp_path / "odd.npz", "arr_0.npy", method=99): "is damaged: That compression method is not supported",
        tmp_path / "loop.npz": "does not exist; an npz file is needed",
        tmp_path / "fifo.npz": "is not a file; an npz file is needed",
        tmp_path / f"{'x' * 300}.npz": "cannot be read: File name too long",
    }.items():
        for files in ((good, bad), (bad, good)):
            result = run(*files, "--inception", weights)
            assert (result.exit_code, result.stdout) == (2, ""), bad
            assert result.stderr.startswith(f"adm-evaluate: {bad} ")
            assert result.stderr.count("\n") == 1
        assert message in run(good, bad, "--inception", weights).stderr


@pytest.mark.parametrize("value", ["nan", "0", "-1"])
def test_memory_is_bounded_by_a_number(value: str, tmp_path: Path, weights: Path) -> None:
    file = saved(tmp_path / "a.npz", pictures(4, 1))
    refused = run(file, file, "--max-gib", value, "--inception", weights)
    assert refused.exit_code == 2
    assert "--max-gib" in refused.stderr


def test_statistics_of_who_knows_whom_are_cautioned_of(tmp_path: Path) -> None:
    """The published files have the spatial ones, too, and no label either."""
    published, other = tmp_path / "published.npz", tmp_path / "other.npz"
    saved(published, **statistics(), **statistics(2023, ("mu_s", "sigma_s")))
    saved(other, **statistics())
    read_reference(published).warn_if_unlabelled(inception_weights.PUBLISHED)
    with pytest.warns(AssayWarning, match=r"other\.npz has mu and sigma alone, and does not say what made them"):
        read_reference(other).warn_if_unlabelled(inception_weights.PUBLISHED)


def test_what_else_is_asked_wrongly(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, samples = (
        saved(tmp_path / "ref.npz", pictures(4, 1)),
        saved(tmp_path / "samples.npz", pictures(4, 2, 32)),
    )
    absent = run(reference, samples)
    assert absent.exit_code == 2
    assert f"curl -L -o {tmp_path}/home/.cache/adm/{inception_weights.FILE_NAME} https://github.com" in absent.stderr
    other = run(reference, samples, "--inception", weights)
    assert other.exit_code == 2
    assert "is not the published file of Inception's weights" in other.stderr
    assert "has images of 32 × 32 pixels, and" in other.stderr
    assert run(reference).exit_code == 2
    assert run(reference, samples, "--batch-size", 0).exit_code == 2
    device = run(reference, samples, "--inception", weights, "--any-weights", "--device", "nonsense")
    assert device.exit_code == 2
    assert "adm-evaluate: --device nonsense: " in device.stderr
    made = {"extractor": np.array("clip"), **statistics()}
    by_another = run(saved(reference, **made), samples, "--inception", weights, "--any-weights")
    assert by_another.exit_code == 2
    assert "its statistics were made by another extractor, clip, but the samples" in by_another.stderr

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inception_metrics, "reference_features", interrupt)
    stopped = run(reference, samples, "--inception", weights, "--any-weights", "--json")
    assert (stopped.exit_code, stopped.stdout) == (130, "")
    assert stopped.stderr.endswith("adm-evaluate: stopped before the metrics were computed\n")
