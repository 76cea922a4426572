"""The `assay` command. Exit codes: 0 done; 1 a trial failed; 2 a mistake in the request; 3 an error of the machine or
a service; 4 a limit of the sweep is reached; 130 Ctrl-C; 141 stdout was closed, as by `| head`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from assay.cli.exits import EXIT_COULD_NOT, EXIT_INTERRUPTED, report_error, report_lost_output

# At the top: without free file descriptors, nothing can be imported later.
from assay.cli.machine_errors import in_one_line

LEAST_COLUMNS, MOST_COLUMNS = 20, 10_000


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line, and return its exit code. An AssayError is printed without a traceback."""
    from assay.cli.streams import OutputLost, standard_streams

    width = os.environ.get("COLUMNS", "")
    if not (width.isdecimal() and LEAST_COLUMNS <= int(width[:9]) <= MOST_COLUMNS):
        os.environ.pop("COLUMNS", None)  # too narrow for any table, or so wide that the help takes megabytes
    with standard_streams():
        try:
            code = _run(args)
            sys.stdout.flush()
        except OutputLost as lost:
            return report_lost_output(lost.cause)
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
        return report_error(error)
    except Exception as error:
        if (condition := in_one_line(error)) is not None:
            print(f"assay: {condition}", file=sys.stderr)
            return EXIT_COULD_NOT
        import traceback

        from assay.redaction import hide_secrets, printable

        text = f"{traceback.format_exc()}\nassay: unexpected {type(error).__name__}: {error}"
        print(printable(hide_secrets(text)), file=sys.stderr)
        print("This is a bug in assay or in the workload; the traceback above says where.", file=sys.stderr)
        return EXIT_COULD_NOT
    return 0
