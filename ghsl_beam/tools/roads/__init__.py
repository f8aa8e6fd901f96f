"""Road lines with a width, for the cleaning, from OpenStreetMap or Overture."""
