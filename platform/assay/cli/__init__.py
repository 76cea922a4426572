"""The `assay` command. Exit codes: 0 done; 1 a trial failed; 2 a mistake in what was asked; 3 could not; 4 a limit
of the sweep is reached; 130 Ctrl-C; 141 nobody reads the output any more, as after `| head`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from assay.cli.conditions import in_one_line  # here: where files cannot be opened, none can be imported
from assay.cli.exits import EXIT_COULD_NOT, EXIT_INTERRUPTED, tell, tell_lost

LEAST_COLUMNS, MOST_COLUMNS = 20, 10_000


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line, and return its exit code. An AssayError is told without a traceback."""
    from assay.cli.streams import OutputLost, standard_streams

    width = os.environ.get("COLUMNS", "")
    if not (width.isdecimal() and LEAST_COLUMNS <= int(width[:9]) <= MOST_COLUMNS):
        os.environ.pop("COLUMNS", None)  # no table is readable in it, or the help is of megabytes
    with standard_streams():
        try:
            code = _run(args)
            sys.stdout.flush()
        except OutputLost as lost:
            return tell_lost(lost.cause)
    return code


def _run(args: Sequence[str] | None) -> int:
    from assay.cli.streams import OutputLost
    from assay.errors import AssayError
    from assay.home import ensure_user_home

    try:
        ensure_user_home()
        from assay.cli.app import app

        app(args=None if args is None else list(args), prog_name="assay")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OutputLost:
        raise
    except AssayError as error:
        return tell(error)
    except Exception as error:
        if (condition := in_one_line(error)) is not None:
            print(f"assay: {condition}", file=sys.stderr)
            return EXIT_COULD_NOT
        import traceback

        from assay.text import hide_secrets, printable

        told = f"{traceback.format_exc()}\nassay: unexpected {type(error).__name__}: {error}"
        print(printable(hide_secrets(told)), file=sys.stderr)
        print("This is a bug in assay or in the workload; the traceback above says where.", file=sys.stderr)
        return EXIT_COULD_NOT
    return 0
