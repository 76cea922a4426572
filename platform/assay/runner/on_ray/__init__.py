"""Every use of Ray, one file each: the cluster, the broker's actor, the executors (Train, Data, tasks), Tune's trials."""
