"""Files and objects: locations, GDAL access, vectors, HTTP, temporary files and redaction."""
