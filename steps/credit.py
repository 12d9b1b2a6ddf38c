"""Whose data a map is made of, as their licences ask to be told."""

COPERNICUS = "Contains modified Copernicus Sentinel data"
DYNAMIC_WORLD = "Dynamic World V1, Google and World Resources Institute, CC BY 4.0"


def copyright_tag(*sources: str) -> dict[str, str]:
    """A raster's metadata that says so, in the tag that TIFF has for it; GIS show it among a layer's properties."""
    return {"TIFFTAG_COPYRIGHT": "; ".join(sources)}
