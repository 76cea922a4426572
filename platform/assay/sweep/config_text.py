"""Show a config as YAML."""

from __future__ import annotations

import io
from collections.abc import Mapping

from assay.sweep.expansion import in_words
from assay.workload import JSON, section_of


def as_yaml(value: Mapping[str, JSON], asked: Mapping[str, JSON] | None = None) -> str:
    """The config as YAML. `asked`: path → the setting in the sweep, for values chosen at run time, as comments."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = None  # lists of numbers on one line, sections on their own
    out = io.StringIO()
    yaml.dump(dict(value), out)
    if not asked:
        return out.getvalue()
    document, out = yaml.load(out.getvalue()), io.StringIO()
    for path, wanted in asked.items():
        if (section := section_of(document, path)) is not None:
            section.fa.set_block_style()  # a comment ends its line
            section.yaml_add_eol_comment(asked_in_words(wanted), path.rpartition(".")[2])
    yaml.dump(document, out)
    return out.getvalue()


def asked_in_words(wanted: JSON) -> str:
    """The comment beside a value that was chosen at run time."""
    return f"asked: {in_words(wanted)}"
