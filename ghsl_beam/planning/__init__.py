"""What a run will make, and where: tiles, scenes, grids, roads, products and their paths."""
