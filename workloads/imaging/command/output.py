"""The output of `adm-evaluate`: lines for one file of samples, a table for several, or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imaging.command.figures import Figures
from imaging.contents import sha256_of
from imaging.extractors.inception_weights import PUBLISHED, distance_name


@dataclass(frozen=True)
class Evaluated:
    """One file of samples."""

    path: Path
    num_samples: int
    figures: Figures


@dataclass(frozen=True)
class Outcome:
    """Files of samples compared with one reference."""

    reference: Path
    num_of_statistics: int | None
    """Number of images that the reference's statistics were computed from; None if its file does not say."""
    num_images: int | None
    """Number of images in the reference, for precision and recall."""
    extractor: str
    arithmetic: str
    samples: tuple[Evaluated, ...]


def _rows(outcome: Outcome, evaluated: Evaluated) -> list[tuple[str, str, float | None, str]]:
    """(label, metric, value, reason if there is none). With other than the published weights, a distance is not FID."""
    fid = "FID" if outcome.extractor == PUBLISHED else f"FD ({outcome.extractor})"
    key = distance_name(outcome.extractor)
    names = {
        "Inception Score": "inception_score",
        fid: key,
        f"s{fid}": f"s{key}",
        "Precision": "precision",
        "Recall": "recall",
    }
    values, missing = evaluated.figures.values, evaluated.figures.missing
    return [(name, key, values.get(key), missing.get(key, "")) for name, key in names.items()]


def as_text(outcome: Outcome) -> str:
    """One file: the published evaluator's lines. Several: a table, and the reasons for missing values below."""
    if len(outcome.samples) == 1:
        return "\n".join(
            f"{name}: {f'not computed: {why}' if value is None else value}"
            for name, _, value, why in _rows(outcome, outcome.samples[0])
        )
    rows = [_rows(outcome, evaluated) for evaluated in outcome.samples]
    table = [["Samples", "N", *(name for name, *_ in rows[0])]]
    for evaluated, row in zip(outcome.samples, rows, strict=True):
        cells = ["—" if value is None else f"{value:.4f}" for _, _, value, _ in row]
        table.append([str(evaluated.path), str(evaluated.num_samples), *cells])
    notes = [f"{name}: not computed: {why}" for row in rows for name, _, value, why in row if value is None]
    return "\n".join([*_aligned(table), *dict.fromkeys(notes)])


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column aligned left, the others right. Not cut to the terminal's width."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in table
    ]


def as_json_text(outcome: Outcome, messages: Sequence[str]) -> str:
    """Each metric with its numbers of samples and references, its extractor, and the reference's sha256."""
    digest = sha256_of(outcome.reference)
    samples = []
    for evaluated in outcome.samples:
        metrics = {}
        for name, key, value, why in _rows(outcome, evaluated):
            by_images = name in ("Precision", "Recall")
            against = (
                {}
                if name == "Inception Score"
                else {
                    "reference_sha256": digest,
                    "num_reference": outcome.num_images if by_images else outcome.num_of_statistics,
                }
            )
            missing = {"why": why} if value is None else {}
            metrics[key] = {
                "value": value,
                **missing,
                "num_samples": evaluated.num_samples,
                "extractor": outcome.extractor,
                "arithmetic": outcome.arithmetic,
                **against,
            }
        samples.append({"path": str(evaluated.path), "metrics": metrics})
    return json.dumps({"reference": str(outcome.reference), "samples": samples, "warnings": list(messages)}, indent=2)
