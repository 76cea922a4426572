"""A package that is installed adds a sampler, a timestep sampler, a noise schedule and a network, each by one entry
point: planned, run, priced and reported as ours are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import guest_pieces
from adm.config import ModelConfig
from adm.diffusion.guidance import with_null_label
from adm.registries import GUIDANCES, SAMPLERS
from adm.respacing import space_timesteps
from adm.workload import workload
from assay.cli import main
from assay.errors import ConfigError, UserError
from assay.planning.import_paths import refuse_missing_functions
from assay.workload import Stage

ALL_HERS = {
    "sample.sampler": "heun",
    "diffusion.schedule": "sigmoid",
    "train.timestep_sampler": "early",
    "model.kind": "chain",
}
SWEEP = f"""
version: 1
name: guests
workload: adm
base: tiny_digits
config:
  classifier: null
  evaluate.extractor: pixels
  evaluate.num_samples: 100
  evaluate.num_reference: 100
  train.iterations: 3
  diffusion.steps: 60
  sample.steps: 5
arms:
  ours: {{sample.sampler: ddim}}
  hers: {{sample.sampler: heun}}
  all hers: {json.dumps(ALL_HERS)}
metric: fd_pixels
mode: min
"""
LITTLE = {"classifier": None, "evaluate.extractor": "pixels", "sample.steps": 10}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages with the one that adds to adm; the package itself is beside the tests."""
    info = tmp_path / "site" / "guest_pieces-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest-pieces\nVersion: 1\n")
    (info / "entry_points.txt").write_text(guest_pieces.ENTRY_POINTS)
    return info.parent


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, for one test."""
    monkeypatch.syspath_prepend(site)


def stages(**overrides: Any) -> dict[str, Stage]:
    found: dict[str, Stage] = {}

    def walk(stage: Stage) -> None:
        found[stage.name] = stage
        for other in (*stage.inputs.values(), *filter(None, [stage.rows])):
            walk(other)

    given = {name.replace("__", "."): value for name, value in overrides.items()}
    for stage in workload.stages(workload.resolve("tiny_digits", {**LITTLE, **given})):
        walk(stage)
    return found


@pytest.mark.slow
def test_a_sweep_of_hers_is_planned_and_run_by_the_command(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "guests.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ASSAY_STORE", raising=False)

    def assay(*line: str) -> str:
        capfd.readouterr()
        code = main(line)
        out, err = capfd.readouterr()
        assert code == 0, err
        return out

    planned = json.loads(assay("plan", "guests.yaml", "--json"))["stages"]
    days = {stage["trials"][0]: stage["v100_days"] for stage in planned if stage["stage"] == "features"}
    assert days["hers"] == pytest.approx(days["ours"] * 9 / 5)
    assay("run", "guests.yaml", "--executor", "inline", "--no-tracking")
    (table,) = json.loads(assay("compare", "guests.yaml", "--json"))["sweeps"]
    assert {trial["trial"] for trial in table["trials"] if trial["rank"] is not None} == {"ours", "hers", "all hers"}
    page = (tmp_path / "home" / "reports" / "guests" / "report.html").read_text()
    assert "heun" in page
    assert "sigmoid" in page


def test_her_facts_are_known_to_costs_and_keys(installed: None) -> None:
    ours, hers = stages(sample__sampler="ddim"), stages(sample__sampler="heun")
    assert hers["draw"].flops == ours["draw"].flops * 19 / 10  # type: ignore[operator]
    assert hers["draw"].key != ours["draw"].key
    assert hers["train"].key == ours["train"].key
    chain = stages(model__kind="chain", train__iterations=10)["train"]
    model = ModelConfig(**chain.config["model"])
    assert chain.flops == 3 * guest_pieces.cost_of_a_chain(model).flops * 10 * chain.config["train"]["batch_size"]


def test_a_raised_version_is_in_the_key_of_what_reads_it(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stages(sample__sampler="heun")
    monkeypatch.setattr(guest_pieces, "HEUN", replace(guest_pieces.HEUN, version=2))
    monkeypatch.setattr(SAMPLERS, "_loaded", {})  # loaded anew
    second = stages(sample__sampler="heun")
    assert second["draw"].config["versions"] == {"sampler heun": 2}
    assert second["draw"].key != first["draw"].key
    assert second["train"].key == first["train"].key


def test_her_spacing_is_asked_for_by_name_and_count(installed: None) -> None:
    assert space_timesteps(1000, "quadratic5") == [0, 62, 250, 562, 999]
    assert stages(sample__steps=" quadratic10 ")["draw"].config["sample"]["steps"] == "quadratic10"
    with pytest.raises(
        ConfigError, match=r"'quadratic40': guest_pieces:quadratic_steps returned .*; allowed: 40 of the"
    ):
        stages(diffusion__steps=50, sample__steps="quadratic40")


def test_her_guidance_needs_what_its_facts_say_and_is_priced(installed: None) -> None:
    guided = {"sample__guidance": "rescaled", "train__label_dropout": 0.1}
    one, two = (stages(sample__guidance_scale=scale, **guided)["draw"] for scale in (1.0, 2.0))
    assert two.flops == 2 * one.flops  # type: ignore[operator]
    assert two.config["sample"]["guidance"] == "rescaled"
    assert "guest_pieces.training:rescaled" in two.imports
    with pytest.raises(ConfigError, match=r"sample\.guidance: rescaled needs a model without labels"):
        stages(sample__guidance="rescaled", sample__guidance_scale=2.0)
    pair = with_null_label(lambda x, t, y: torch.cat([x * (1 + y.view(-1, 1, 1, 1)), x], dim=1), null_label=0)
    x = torch.randn(2, 1, 4, 4)
    drawn = GUIDANCES["rescaled"].load()(pair, 2.0)(x, torch.tensor([5, 5]), y=torch.tensor([1, 2]))
    torch.testing.assert_close(drawn[:, :1].std((1, 2, 3)), torch.stack([2 * x[0].std(), 3 * x[1].std()]))
    assert torch.equal(drawn[:, 1:], x)


def test_her_variance_that_changes_nothing_is_not_in_the_key(installed: None) -> None:
    small, large = (
        stages(sample__sampler="heun", model__out_channels=1, diffusion__variance=name)["features"]
        for name in ("fixed_small", "fixed_large")
    )
    assert small.key == large.key


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            {"sample.sampler": "heunn"},
            r"^sample\.sampler: unknown sampler 'heunn'; did you mean 'heun'\? allowed: ddpm, ddim, .*, gone, heun",
        ),
        ({"sample.sampler": 3}, r"^sample\.sampler: got 3 \(int\), allowed: ddpm, ddim, dpmpp_2m, .*, gone, heun"),
        ({"sample.sampler": "gone"}, r"^sample\.sampler: the sampler 'gone' \(guest_pieces:GONE\) cannot be imported"),
        ({"model.kind": "chian"}, r"^model\.kind: unknown kind of network 'chian'; did you mean 'chain'\?"),
        ({"model.kind": "chain", "model.channels": 96}, r"^model: a chain has 64 channels at most, got 96"),
        (
            {"model.kind": "chain", "sample.steps": "karras5"},
            r"^sample\.steps: sample\.steps 'karras5' goes between whole timesteps, and model\.kind chain takes",
        ),
        (
            {"model.kind": "chain", "sample.sampler": "dpmpp_2s"},
            r"^sample\.sampler: sample\.sampler dpmpp_2s goes between whole timesteps, and model\.kind chain",
        ),
        ({"sample.steps": "karras1"}, r"respacing 'karras1' takes 1 steps, allowed: 2 to 1000"),
        ({"measure": "likelihood", "sample.steps": "karras5"}, r"^sample\.steps: karras5 goes between the steps, but"),
        (
            {"sample.sampler": "heun", "sample.steps": [1]},
            r"sample\.steps: got \[1\], allowed: 2 steps or more with heun",
        ),
        (
            {"sample.sampler": "heun", "sample.temperature": 0.9},
            r"^sample\.temperature: 0\.9 has no effect with sample\.sampler heun: it is for ddpm, ddim; leave it out",
        ),
        ({"sample.sampler": "heun", "sample.eta": 0.5}, r"^sample\.eta: 0\.5 has no effect with sample\.sampler heun"),
        (
            {"sample.sampler": "heun", "sample.guidance_scale": 1.0},
            r"^sample\.guidance_scale: 1\.0 is for samplers that a classifier can guide \(ddpm, ddim",
        ),
        (
            {"diffusion.schedule": "sigmoid", "diffusion.steps": 20},
            r"^diffusion\.steps: got 20, allowed: 50 or more with diffusion\.schedule sigmoid",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:the sampler 'gone'")
def test_what_she_cannot_do_is_refused_as_ours_is(installed: None, overrides: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        workload.resolve("tiny_digits", overrides)


def test_a_piece_that_is_not_there_is_known_before_anything_is_trained(installed: None) -> None:
    with pytest.raises(UserError, match=r"stage draw: import: 'guest_pieces\.heun:none_such': the module .* has no"):
        refuse_missing_functions([("adm", stages(sample__sampler="lost")["draw"])])
