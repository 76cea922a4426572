"""Proxies: servers on this machine are reached directly."""

from __future__ import annotations

import os
from urllib.request import getproxies_environment

LOOPBACK = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1", "[::1]")
"""Every spelling, since libraries differ: some compare names, some ranges, some addresses in brackets."""


def ask_this_machine_directly() -> None:
    """Add the loopback addresses to no_proxy, if the environment names a proxy, for this process and its children.

    Call it before any request to a server that may be on this machine: MLflow's, a cluster's, Ray's own.
    """
    proxies = getproxies_environment()
    exempt = [name.strip() for name in proxies.get("no", "").split(",") if name.strip()]
    if proxies.keys() - {"no"} and "*" not in exempt:
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(dict.fromkeys([*exempt, *LOOPBACK]))
