"""The models of a job: the published ones, their download, checksums, status and credits."""
