"""Results against independent references, on arrays as large as real ones."""
