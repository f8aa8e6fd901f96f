"""Everything that knows the runners of Beam: options, profiles, clusters, workers, their logs."""
