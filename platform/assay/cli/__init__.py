"""The `assay` command. Exit codes: 0 done; 1 a trial failed; 2 a mistake in what was asked; 3 could not; 4 a limit
of the sweep is reached; 130 Ctrl-C."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.errors import AssayError

EXIT_TRIAL_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_COULD_NOT = 3
EXIT_PAUSED = 4
EXIT_INTERRUPTED = 130


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line, and return its exit code. An AssayError is told without a traceback."""
    from assay.errors import AssayError
    from assay.home import ensure_user_home

    ensure_user_home()
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal that lacks a character of a name shows "?" for it
        sys.stdout.reconfigure(errors="replace")
    try:
        from assay.cli.app import app

        app(args=None if args is None else list(args), prog_name="assay")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except AssayError as error:
        return tell(error)
    except Exception as error:
        import traceback

        from assay.text import hide_secrets, printable

        told = f"{traceback.format_exc()}\nassay: unexpected {type(error).__name__}: {error}"
        print(printable(hide_secrets(told)), file=sys.stderr)
        print("This is a bug in assay or in the workload; the traceback above says where.", file=sys.stderr)
        return EXIT_COULD_NOT
    return 0


def tell(error: AssayError) -> int:
    """Say on stderr what is wrong; returns the exit code of a command that ends so."""
    from assay.errors import UserError
    from assay.text import printable

    is_users = isinstance(error, UserError)
    print(printable(str(error) if is_users else f"assay: {error}"), file=sys.stderr)
    return EXIT_USER_ERROR if is_users else EXIT_COULD_NOT
