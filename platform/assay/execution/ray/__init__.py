"""Every use of Ray, a file each: the session, the broker's actor, the executors (Train, Data, tasks), Tune's trials."""
