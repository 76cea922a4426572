"""The metrics of one set of samples, from features, with what is needed to say how sure they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imaging.metrics.extrapolation import frechet_distance_infinity
from imaging.metrics.feature_arrays import FloatArray, checked_features
from imaging.metrics.frechet import frechet_distance
from imaging.metrics.inception_score import inception_score
from imaging.metrics.jackknife import NUM_BLOCKS, Replicates, frechet_replicates, index_blocks
from imaging.metrics.kid import kid_leaving_out, kid_with_standard_error
from imaging.metrics.moments import Gaussian, Moments
from imaging.metrics.neighbours import DEFAULT_MAX_BYTES
from imaging.metrics.precision_recall import manifold_hits


class SampleMetrics:
    """Metrics by name, and their jackknife replicates where they have any.

    A metric with replicates gets <name>_low and <name>_high, the ends of a 95% interval for its expectation at this
    number of samples. Fréchet distances get them where there are more samples than features by a block: below, the
    distance is mostly bias. Recall gets none: without a block the balls of all other samples change. `max_bytes` bounds
    the working memory of what compares features with features.
    """

    def __init__(self, num_samples: int, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.metrics: dict[str, float] = {}
        self.replicates: dict[str, Replicates] = {}
        self._blocks = index_blocks(num_samples) if num_samples >= NUM_BLOCKS else []
        self._max_bytes = max_bytes
        self._sizes = np.array([len(rows) for rows in self._blocks], dtype=np.float64)

    def add_distance(self, name: str, reference: Gaussian, features: FloatArray, *, infinity: bool = False) -> None:
        """The Fréchet distance, and its extrapolation to infinitely many samples. Warns as `frechet_distance` does.

        In 2048 dimensions the blocks take 32 MiB each, and the replicates a distance each, whatever N is.
        """
        features = checked_features(features, "samples", at_least=2)
        is_sure = bool(self._blocks) and len(features) - self._sizes.max() > features.shape[1]
        blocks = [Moments.of(features[rows]) for rows in self._blocks] if is_sure or infinity else []
        if is_sure:
            self._keep(name, frechet_replicates(reference, blocks))
        else:
            self.metrics[name] = frechet_distance(reference, features)
        if infinity:
            found = frechet_distance_infinity(reference, blocks)
            self._keep(f"{name}_infinity", Replicates(found.value, np.array(found.left_out), self._sizes))

    def add_pairs(self, reference: FloatArray, features: FloatArray, k: int, device: str) -> None:
        """Precision, recall and KID: what takes the features of both sides.

        kid_low and kid_high are of the samples' noise, with the reference as given, as all intervals here; kid_se
        counts the noise of the reference as well.
        """
        memory = {"max_bytes": self._max_bytes}
        hits = manifold_hits(reference, features, k, device=device, **memory)
        inside = hits.samples.astype(np.float64)
        left_out = np.array([np.delete(inside, rows).mean() for rows in self._blocks])
        self._keep("precision", Replicates(float(inside.mean()), left_out, self._sizes))
        self.metrics["recall"] = float(hits.reference.mean())
        if self._blocks:
            found, left_out = kid_leaving_out(reference, features, self._blocks, **memory)
            self._keep("kid", Replicates(found.kid, left_out, self._sizes))
        else:
            found = kid_with_standard_error(reference, features, **memory)
            self.metrics["kid"] = found.kid
        self.metrics["kid_se"] = found.standard_error

    def add_inception_score(self, logits: npt.NDArray[np.float32]) -> None:
        self.metrics["inception_score"] = inception_score(logits)

    def _keep(self, name: str, replicates: Replicates) -> None:
        self.metrics[name] = replicates.value
        if len(replicates.left_out):
            self.replicates[name] = replicates
            _, _, self.metrics[f"{name}_low"], self.metrics[f"{name}_high"], _ = replicates.interval()
