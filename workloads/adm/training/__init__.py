"""The training loop and its parts. Runs as one worker of a group or alone, without Ray."""
