"""The QGIS side: standard library and PyQGIS only; of the server it knows the contract alone."""
