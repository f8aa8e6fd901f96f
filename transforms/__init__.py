"""The stages of the job: pure functions on arrays, and thin PTransforms that call them."""
