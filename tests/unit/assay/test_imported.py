"""What somebody else in this process has imported, or is importing right now."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from assay.imported import imported
from assay.shown import is_notebook
from patience import LONGEST_S

SLOW = "entered.set()\nassert leave.wait({wait})\ndef get_ipython(): return None\n"


def test_what_is_imported_and_what_is_not() -> None:
    assert imported("sys") is sys
    assert imported("no_such_module") is None


def test_a_module_that_a_thread_is_importing_is_not_imported_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow imports IPython in the tracker's thread, while the executor asks whether this is a notebook."""
    entered, leave = threading.Event(), threading.Event()
    monkeypatch.setitem(sys.modules, "moments", type(sys)("moments"))
    vars(sys.modules["moments"]).update(entered=entered, leave=leave)
    (tmp_path / "IPython.py").write_text(f"from moments import *\n{SLOW.format(wait=LONGEST_S)}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "IPython", sys)  # it is put back at the end, or taken away
    del sys.modules["IPython"]
    importing = threading.Thread(target=__import__, args=("IPython",))
    importing.start()
    try:
        assert entered.wait(LONGEST_S)
        assert "IPython" in sys.modules
        assert imported("IPython") is None
        assert not is_notebook()
    finally:
        leave.set()
        importing.join()
    assert imported("IPython") is sys.modules["IPython"]
