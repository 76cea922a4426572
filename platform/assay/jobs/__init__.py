"""A sweep as a job on a Ray cluster elsewhere: packed, submitted, followed, stopped."""
