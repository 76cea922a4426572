"""The Inception score: Salimans et al. (2016), "Improved techniques for training GANs".

Legend: N images, C classes. As in the reference evaluator, logits are the pool features times the last layer's weights,
without its bias, and splits are contiguous and not shuffled.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imaging.metrics.feature_arrays import FeatureError, Float64Array, FloatArray, checked_features, row_blocks


def inception_score(logits: npt.ArrayLike, split_size: int = 5000) -> float:
    """exp E_x KL(p(y|x) ‖ p(y)), averaged over splits; float64. Between 1 and C, higher is better.

    `logits` (N, C) are before the softmax. Split i has images i·split_size to (i + 1)·split_size; a shorter last split
    has the same weight as the others.

    Raises:
        FeatureError: wrong shape, fewer than 2 images, NaN or infinity, or split_size < 1.
    """
    array = checked_features(logits, "logits", at_least=2)
    if split_size < 1:
        raise FeatureError(f"split_size must be at least 1; got {split_size}")
    return float(np.mean([_score_of_split(array[rows]) for rows in row_blocks(len(array), split_size)]))


def _score_of_split(logits: FloatArray) -> float:
    """exp of the mean over images of Σ_y p(y|x) (log p(y|x) − log p(y)), with p(y) the split's mean."""
    log_conditional = log_softmax(logits)
    conditional = np.exp(log_conditional)
    marginal = conditional.mean(axis=0)
    log_marginal = np.log(marginal, out=np.zeros_like(marginal), where=marginal > 0)
    divergence = np.sum(conditional * (log_conditional - log_marginal), axis=1)
    return float(np.exp(divergence.mean()))


def log_softmax(logits: FloatArray) -> Float64Array:
    """log p(y|x), (N, C) to (N, C), in float64. Finite also for probabilities that underflow."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
