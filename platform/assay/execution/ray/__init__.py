"""All use of Ray: the session, the broker's actor, the executors (Train, Data, tasks), and Tune's trials."""
