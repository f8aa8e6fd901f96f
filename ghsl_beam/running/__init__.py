"""One run of a job: the graph, the launch, the lock, the outcome and the completion."""
