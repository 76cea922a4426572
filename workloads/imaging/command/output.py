"""The output of `adm-evaluate`: lines for one file of samples, a table for several, or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imaging.command.figures import Figure
from imaging.command.images import source_of
from imaging.command.spaces import INCEPTION


@dataclass(frozen=True)
class Evaluated:
    """One file of samples."""

    path: Path
    num_samples: int
    figures: tuple[tuple[str, Figure], ...]
    """Each with its name: as a trial's, it ends in the extractor's name if an earlier one reports the same."""


@dataclass(frozen=True)
class Outcome:
    """Files of samples compared with one reference."""

    reference: Path
    digest: str
    """Of the reference's contents."""
    samples: tuple[Evaluated, ...]


def named(by_space: Sequence[Sequence[Figure]]) -> tuple[tuple[str, Figure], ...]:
    """The figures of one file with their names, from those of each space."""
    taken: dict[str, Figure] = {}
    for figures in by_space:
        earlier = set(taken)
        for figure in figures:
            taken[f"{figure.key}_{figure.space.extractor}" if figure.key in earlier else figure.key] = figure
    return tuple(taken.items())


def _label(name: str, figure: Figure) -> str:
    """As the published evaluator calls it. With other than the published weights, a distance is not FID."""
    space = figure.space
    if space.extractor != INCEPTION or name != figure.key:
        return name
    fid = "FID" if space.is_fid else f"FD ({space.network})"
    labels = {"inception_score": "Inception Score", "precision": "Precision", "recall": "Recall"}
    return {**labels, space.distance: fid, f"s{space.distance}": f"s{fid}"}.get(name, name)


def as_text(outcome: Outcome) -> str:
    """One file: the published evaluator's lines. Several: a table, and the reasons for missing values below."""
    rows = [[(_label(name, figure), figure) for name, figure in each.figures] for each in outcome.samples]
    if len(outcome.samples) == 1:
        return "\n".join(
            f"{label}: {f'not computed: {figure.why}' if figure.value is None else figure.value}"
            for label, figure in rows[0]
        )
    table = [["Samples", "N", *(label for label, _ in rows[0])]]
    for evaluated, row in zip(outcome.samples, rows, strict=True):
        cells = ["—" if figure.value is None else f"{figure.value:.4f}" for _, figure in row]
        table.append([str(evaluated.path), str(evaluated.num_samples), *cells])
    notes = [f"{label}: not computed: {figure.why}" for row in rows for label, figure in row if figure.value is None]
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
    """Each metric with its 95% interval, its numbers of samples and references, its extractor, and the reference's
    digest: the sha256 of a file."""
    key = "reference_contents" if source_of(outcome.reference) == "folder" else "reference_sha256"
    samples = []
    for evaluated in outcome.samples:
        metrics = {}
        for name, figure in evaluated.figures:
            about: dict[str, Any] = {"value": figure.value}
            if figure.value is None:
                about["why"] = figure.why
            if figure.interval is not None:
                interval = figure.interval
                about |= {"low": interval.low, "high": interval.high, "standard_error": interval.standard_error}
            about |= {
                "num_samples": evaluated.num_samples,
                "extractor": figure.space.network,
                "arithmetic": figure.space.arithmetic,
            }
            if figure.needs_reference:
                about |= {key: outcome.digest, "num_reference": figure.num_reference}
            metrics[name] = about
        samples.append({"path": str(evaluated.path), "metrics": metrics})
    return json.dumps({"reference": str(outcome.reference), "samples": samples, "warnings": list(messages)}, indent=2)
