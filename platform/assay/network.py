"""Which way to a server: this machine is asked directly, whatever the shell says of proxies."""

from __future__ import annotations

import os
from urllib.request import getproxies_environment

LOOPBACK = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1", "[::1]")
"""As the libraries below us compare them: some take a name, some a range, some an address with its brackets."""


def ask_this_machine_directly() -> None:
    """Add the loopback addresses to no_proxy, where the shell names a proxy, for this process and those that it starts.

    To be called before anything is asked of a server that may be on this machine: MLflow's, a cluster's, Ray's own.
    """
    proxies = getproxies_environment()
    if not set(proxies) - {"no"}:
        return
    there = [name.strip() for name in proxies.get("no", "").split(",") if name.strip()]
    if "*" in there:
        return
    value = ",".join(dict.fromkeys([*there, *LOOPBACK]))
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = value
