"""Landbrush: paint a what-if onto real coordinates, inside QGIS."""


def classFactory(iface):  # noqa: N802 - the name QGIS calls
    """Make the plugin; QGIS calls this when it loads it."""
    from .plugin.main import LandbrushPlugin

    return LandbrushPlugin(iface)
