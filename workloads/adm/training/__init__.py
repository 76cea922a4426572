"""The training loop and its parts. It runs alone or as one worker of a group, and needs no Ray."""
