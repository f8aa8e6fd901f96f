"""All that knows the runners of Beam: options, profiles, clusters, workers and their logs."""
