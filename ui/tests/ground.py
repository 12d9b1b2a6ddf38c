"""An operator's basemap on loopback: a tile for every address, as tile servers have, of made hills seen from above."""

import io
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

_SIZE = 256
_TILE = re.compile(r"^/(\d+)/(\d+)/(\d+)\.png$")
_HILLS_PER_TURN = 2.0**17
"""So many along the equator: some two to a tile of zoom 16."""


class Ground(BaseHTTPRequestHandler):
    """`/{z}/{x}/{y}.png`."""

    def do_GET(self) -> None:
        """A tile, to whatever page asks."""
        found = _TILE.match(self.path)
        picture = _tile(*map(int, found.groups())) if found else b""
        self.send_response(200 if found else 404)
        self.send_header("content-type", "image/png")
        self.send_header("access-control-allow-origin", "*")
        self.end_headers()
        self.wfile.write(picture)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def _tile(z: int, x: int, y: int) -> bytes:
    """Shaded hills (y, x) in the colours of dry grass."""
    across, down = ((at + (np.arange(_SIZE) + 0.5) / _SIZE) / 2**z * _HILLS_PER_TURN for at in (x, y))
    light = np.sin(across)[None, :] * np.cos(down * 1.3)[:, None]
    shade = 0.75 + 0.25 * light[..., None]
    colours = shade * np.array([214, 203, 168])
    file = io.BytesIO()
    Image.fromarray(colours.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def start_ground(port: int) -> str:
    """Serve beside whatever else this process does; the template of its tiles."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Ground)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{port}/{{z}}/{{x}}/{{y}}.png"
