"""The studies' smoke profiles, run as a user runs them: one store for all, so that what they share is computed once."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator

import pytest

from assay.cli import main
from repository import ROOT
from smoke_study import Study, in_fp32

WIDTH = "140"
ON_RAY = {"appendix_k_guidance"}
"""Run on Ray and tracked, as `assay run` does it. The others in-process, which takes less time."""
SHORTER = {
    "guidance_kinds": ("sample.steps=8", "evaluate.num_samples=40"),
    "training_targets": ("train.iterations=40",),
}
"""What is set where no test compares the trials, and whole trials would take most of a minute."""


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Study]]:
    """Runs the smoke profile of a sweep, or another one that trains nothing, once a session."""
    home = tmp_path_factory.mktemp("studies")
    done: dict[tuple[str, str], Study] = {}

    def run(name: str, profile: str = "smoke") -> Study:
        if (name, profile) not in done:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                how = [] if name in ON_RAY else ["--executor", "inline", "--no-tracking"]
                trains = profile == "smoke"
                overrides = [*in_fp32(name), *SHORTER.get(name, ())] if trains else []
                sets = [word for override in overrides for word in ("--set", override)]
                code = main(["run", name, "--profile", profile, "--plain", *how, *sets])
            assert code == 0, out.getvalue()
            done[name, profile] = Study(out.getvalue(), home / "reports" / f"{name}@{profile}")
        return done[name, profile]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_HOME", str(home))
        patch.setenv("COLUMNS", WIDTH)
        patch.chdir(ROOT)
        yield run
