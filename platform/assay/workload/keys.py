"""Keys: what a result is stored under, a digest of all that it is computed from."""

from __future__ import annotations

import hashlib
import json
from typing import Any

KEY_LENGTH = 32


def canonical_json(value: Any) -> str:
    """A unique spelling of each value, for keys and checksums."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:KEY_LENGTH]
