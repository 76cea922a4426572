"""Which modules a stage's code consists of, and which edits count."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from assay.provenance.source import module_hashes

FILES = {
    "parts/__init__.py": '"""Parts."""\n',
    "parts/bodies.py": (
        '"""Bodies."""\nimport json\nfrom parts.tools import half\n\n\ndef body(ctx):\n    """Halve."""\n'
        "    from . import late\n\n    return half(2) + late.ONE\n"
    ),
    "parts/tools.py": "from parts.deep import constants as c\n\n\ndef half(x):\n    return x * c.HALF\n",
    "parts/deep/__init__.py": "",
    "parts/deep/constants.py": "HALF = 0.5\n",
    "parts/late.py": "ONE = 1\n",
    "parts/unread.py": "NOBODY = 0\n",
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, code in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def hashes() -> dict[str, str]:
    return module_hashes(["parts.bodies:body"], {"parts"})


def test_what_a_body_imports_belongs_to_its_code_however_deep_and_late(site: Path) -> None:
    expected = ["parts", "parts.bodies", "parts.deep", "parts.deep.constants", "parts.late", "parts.tools"]
    assert list(hashes()) == expected


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("parts/deep/constants.py", "0.5", "0.25", ["parts.deep.constants"]),
        ("parts/tools.py", "x * c.HALF", "c.HALF * x", ["parts.tools"]),
        ("parts/tools.py", "def half", "# halve it\n\n\n\ndef half", []),
        ("parts/bodies.py", '"""Halve."""', '"""Halve, then add one."""', []),
        ("parts/unread.py", "0", "1", []),
    ],
)
def test_an_edit_of_code_changes_its_module_alone_and_prose_changes_none(
    site: Path, file: str, old: str, new: str, changed: list[str]
) -> None:
    before = hashes()
    text = (site / file).read_text()
    (site / file).write_text(text.replace(old, new))
    after = hashes()
    assert [name for name in after if after[name] != before[name]] == changed


def test_a_module_that_does_not_parse_is_still_told_apart(site: Path) -> None:
    before = hashes()
    (site / "parts/late.py").write_text("ONE = = 1\n")
    assert hashes()["parts.late"] != before["parts.late"]


def test_code_in_a_script_has_no_module_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "script", ModuleType("script"))
    assert module_hashes(["script:body", "nowhere.at_all:body"], {"script", "nowhere"}) == {}
