"""The pictures and lines of the map: all layers in one frame in Web Mercator."""
