"""Kinds of machines that a cluster is made of, and fleets of them: `8xp3.16xlarge`, or `4x(8xV100,64CPU)`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assay.costs.devices import find_device
from assay.errors import UserError, did_you_mean


@dataclass(frozen=True)
class MachineKind:
    name: str
    cpus: int
    gpus: int
    device: str
    """The name of each GPU, or cpu."""
    source: str = ""

    @property
    def resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus), **({"GPU": float(self.gpus)} if self.gpus else {})}


AWS = "https://aws.amazon.com/ec2/instance-types/"
KINDS: dict[str, MachineKind] = {
    kind.name: kind
    for kind in (
        MachineKind("p3.2xlarge", 8, 1, "V100-16GB", f"{AWS}p3/"),
        MachineKind("p3.8xlarge", 32, 4, "V100-16GB", f"{AWS}p3/"),
        MachineKind("p3.16xlarge", 64, 8, "V100-16GB", f"{AWS}p3/"),
        MachineKind("p3dn.24xlarge", 96, 8, "V100-32GB", f"{AWS}p3/"),
        MachineKind("p4d.24xlarge", 96, 8, "A100-40GB", f"{AWS}p4/"),
        MachineKind("p4de.24xlarge", 96, 8, "A100-80GB", f"{AWS}p4/"),
        MachineKind("p5.48xlarge", 192, 8, "H100", f"{AWS}p5/"),
    )
}
"""Machines by their providers' names. CPUs are threads, as providers count them."""
FLEET = re.compile(r"(?:(?P<count>\d+) ?[x×] ?)?(?P<kind>.+)")
OWN = re.compile(r"\(?(?:(?P<gpus>\d+) ?[x×] ?(?P<device>[\w .-]+?), ?)?(?P<cpus>\d+) ?CPUs?\)?", re.IGNORECASE)


@dataclass(frozen=True)
class Fleet:
    """Machines of one kind."""

    kind: MachineKind
    count: int
    start_s: float = 0.0
    """How long a machine takes to be there, at the start and when it replaces one that was taken away."""
    losses_per_hour: float = 0.0
    """How often each machine is taken away."""

    @property
    def name(self) -> str:
        return f"{self.count} × {self.kind.name}"

    @property
    def gpus(self) -> int:
        return self.count * self.kind.gpus


def parse_fleet(text: str, start_s: float = 0.0, losses_per_hour: float = 0.0) -> Fleet:
    """The fleet that a text names. Raises UserError.

    >>> parse_fleet("8xp3.16xlarge").gpus, parse_fleet("2x(4xA100-80GB,48CPU)").kind.cpus, parse_fleet("8CPU").gpus
    (64, 48, 0)
    """
    match = FLEET.fullmatch(text.strip())
    name = match["kind"].strip() if match else ""
    own = OWN.fullmatch(name)
    if match is not None and (match["count"] is None or int(match["count"]) > 0):
        count = int(match["count"] or 1)
        if name in KINDS:
            return Fleet(KINDS[name], count, start_s, losses_per_hour)
        if own is None and (whole := OWN.fullmatch(text.strip())) is not None:
            own, count = whole, 1
        if own is not None and (own["device"] is None or find_device(own["device"]) is not None):
            gpus = int(own["gpus"] or 0)
            shown = f"({gpus}x{own['device']},{own['cpus']}CPU)" if gpus else f"({own['cpus']}CPU)"
            kind = MachineKind(shown, int(own["cpus"]), gpus, own["device"] or "cpu")
            return Fleet(kind, count, start_s, losses_per_hour)
    hint = did_you_mean(name, KINDS, f"; kinds: {', '.join(KINDS)}")
    raise UserError(f'--on: got {text!r}, allowed: "8xp3.16xlarge", or as in "4x(8xV100-32GB,64CPU)"{hint}')
