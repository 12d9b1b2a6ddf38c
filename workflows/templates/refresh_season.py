"""`refresh-season`: the standing area is mapped anew each month, for the year up to the end of the last one."""

from workflows import kit, values
from workflows.kit import About

_ABOUT = About(
    title="Refresh the season",
    description="Maps the standing area of the store with the champion model; suspended until there is one.",
)


def build() -> kit.Built:
    """The CronWorkflow; it is suspended until an operator has put the area's GeoJSON into the store."""
    arguments = {
        "aoi": f"{values.text('store', 'url')}/standing/area.geojson",
        "name": "standing-area",
        "season": "latest",
        "catalog": values.text("refresh", "catalog"),
        "collection": values.text("refresh", "collection"),
        "model": values.text("refresh", "model"),
    }
    return kit.cron_workflow("refresh-season", _ABOUT, "0 3 5 * *", "map-aoi", arguments, suspended=True)
