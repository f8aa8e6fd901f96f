"""The area of interest, its polygons on the globe, and the MGRS tiles that cover it."""
