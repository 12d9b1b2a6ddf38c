"""Run by the Python that QGIS is installed for: opens a raster by its address, and a style; says what it finds."""

import json
import sys

from qgis.core import QgsApplication, QgsRasterLayer


def main(raster: str, style: str) -> None:
    """One line of JSON."""
    application = QgsApplication([], False)
    application.initQgis()
    layer = QgsRasterLayer(f"/vsicurl/{raster}", "map", "gdal")
    _, styled = layer.loadNamedStyle(style)
    said = {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "size": [layer.width(), layer.height()],
        "classes": [one.label for one in layer.renderer().classes()] if styled else [],
    }
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
