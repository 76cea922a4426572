"""Run a sweep as a job on a remote Ray cluster: package, submit, follow, stop."""
