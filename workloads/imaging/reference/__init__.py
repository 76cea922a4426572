"""Files of reference statistics and images, as the published evaluator has them."""
