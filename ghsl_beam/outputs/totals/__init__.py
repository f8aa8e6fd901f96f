"""Totals of the area, its tiles, its UTM zones and districts, counted from the layers in UTM."""
