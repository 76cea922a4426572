"""The JSON Schema of sweep files: what an editor completes, and where it underlines a mistake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import yaml

from assay.sweep.json_schema import json_schema
from assay.sweep.plot_kinds import PLOT_KINDS
from assay.workload import load_workload
from repository import ROOT

jsonschema = pytest.importorskip("jsonschema")
SWEEPS = sorted(ROOT.glob("sweeps/*.yaml"))
FILE = ROOT / "sweeps" / "sweep.schema.json"
QUICKSTART = (ROOT / "sweeps" / "quickstart.yaml").read_text()
MISTAKES = [
    ("version: 1\n", "version: 2\n"),
    ("name: quickstart", "nmae: quickstart"),
    ("workload: adm", "workload: adn"),
    ("base: digits ", "base: digit "),
    ("AdaGN: {model.norm: adagn}", "AdaGN: {model.nrom: adagn}"),
    ("addition + GroupNorm: {model.norm: add}", "addition + GroupNorm: {model.norm: added}"),
    ("  sample.guidance_scale: {values: [0.0, 1.0]}", "  sample.guidance_scal: {values: [0.0, 1.0]}"),
    ("mode: min", "mode: smallest"),
    ("  train: {workers: 1, cpus_per_worker: 1}", "  train: {workers: 1, cpus_per_workers: 1}"),
    ("    - {kind: bar, x: model.norm", "    - {kind: bars, x: model.norm"),
]


@cache
def schema() -> dict[str, Any]:
    return json_schema([load_workload("adm"), load_workload("biggan")])


def lines_of_mistakes(text: str) -> set[int]:
    """The lines, from 1, of the innermost values and keys that a validator refuses."""
    root = yaml.compose(text)
    validator = jsonschema.Draft202012Validator(schema())
    lines = set()
    for error in validator.iter_errors(yaml.safe_load(text)):
        while error.context:
            error = max(error.context, key=lambda inner: len(inner.absolute_path))
        node, line = root, 1
        for part in error.absolute_path:
            pairs = node.value if isinstance(node, yaml.MappingNode) else enumerate(node.value)
            _, node = next(p for p in pairs if (p[0] if isinstance(p[0], int) else p[0].value) == part)
            line = node.start_mark.line + 1
        if error.validator == "additionalProperties":
            known = error.schema["properties"]
            line = next(key.start_mark.line for key, _ in node.value if key.value not in known) + 1
        if error.validator == "enum" and error.instance in error.parent.instance if error.parent else False:
            line = next(key.start_mark.line for key, _ in node.value if key.value == error.instance) + 1
        lines.add(line)
    return lines


def test_the_file_beside_the_sweeps_is_of_the_workloads_in_this_repository() -> None:
    assert json.loads(FILE.read_text()) == schema(), f"write it anew: assay schema adm biggan > {FILE.name}"


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_shipped_sweep_names_the_schema_and_is_valid(path: Any) -> None:
    text = path.read_text()
    assert text.startswith(f"# yaml-language-server: $schema={FILE.name}\n")
    assert lines_of_mistakes(text) == set()


@pytest.mark.parametrize(("right", "wrong"), MISTAKES)
def test_a_mistake_is_underlined_on_its_line(right: str, wrong: str) -> None:
    assert QUICKSTART.count(right) == 1
    text = QUICKSTART.replace(right, wrong)
    (changed,) = [i for i, (a, b) in enumerate(zip(QUICKSTART.split("\n"), text.split("\n"), strict=True), 1) if a != b]
    assert changed in lines_of_mistakes(text)


def test_several_objectives_have_directions_of_their_own() -> None:
    before, after = QUICKSTART.split("metric: fd_classifier", 1)
    line, after = before.count("\n") + 1, after.split("mode: min\n", 1)[1]

    def mistakes(text: str) -> set[int]:
        return lines_of_mistakes(before + text + after)

    assert mistakes("metric: {fd_classifier: min, recall_classifier: max}\n") == set()
    assert mistakes("metric: {fd_classifier: min}\nmode: min\n") == {line + 1}
    assert mistakes("metric: {fd_classifier: smallest}\n") == {line}
    assert mistakes("metric: fd_classifier\n") == {1}


def test_an_editor_shows_what_a_value_means() -> None:
    parts: Mapping[str, Any] = schema()["$defs"]
    assert parts["throughput.batch_size"]["description"] == "Images per step on each device."
    assert parts["Plot"]["properties"]["kind"]["enum"] == PLOT_KINDS.names()
    assert parts["Plot"]["properties"]["log"]["description"] == "The axes that are logarithmic."
    assert "data" not in parts["Config"]["properties"], "a section that has to be there is not set as a whole"
    assert "classifier" in parts["Config"]["properties"]
    assert "ddim" in json.dumps(parts["sample.sampler"])
    assert "Reaching one pauses the sweep." in parts["Limits"]["description"]
    assert {"v100_days", "hours", "trials"} <= parts["Limits"]["properties"].keys()
