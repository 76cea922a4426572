"""Drawing images: index-addressed noise and labels, and the runs that use them."""
