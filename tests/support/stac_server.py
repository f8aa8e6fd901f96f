"""A STAC API on the loopback: it answers searches, gives files, and can be made to fail."""

import contextlib
import hashlib
import http.server
import json
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, unquote, urlsplit

import rasterio

LANDING = {
    "type": "Catalog",
    "id": "loopback",
    "description": "A STAC API on the loopback.",
    "stac_version": "1.1.0",
    "conformsTo": [
        "https://api.stacspec.org/v1.0.0/core",
        "https://api.stacspec.org/v1.0.0/item-search",
        "https://api.stacspec.org/v1.0.0-rc.2/item-search#filter",
        "https://api.stacspec.org/v1.0.0/item-search#query",
    ],
    "links": [
        {"rel": "self", "href": "https://stac.dataspace.copernicus.eu/v1/"},
        {"rel": "root", "href": "https://stac.dataspace.copernicus.eu/v1/"},
        {
            "rel": "search",
            "type": "application/geo+json",
            "href": "https://stac.dataspace.copernicus.eu/v1/search",
            "method": "POST",
        },
    ],
}
"""The parts that a landing page needs; `cdse_stac_landing.json` is a recorded one."""


@dataclass(frozen=True)
class Answer:
    """Answers with a given status, headers and body."""

    code: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Silence:
    """Sends a number of bytes of the answer, and then nothing until the server ends."""

    after: int = 0


@dataclass(frozen=True)
class Drip:
    """Sends the answer byte by byte, with a pause in seconds after each."""

    pause: float


@dataclass(frozen=True)
class Cut:
    """States the whole length, sends a number of bytes, and closes the connection."""

    after: int


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict
    body: dict
    at: float


class StacServer:
    """A STAC API whose items may be changed while it runs.

    `items` are those of all collections. `script` holds behaviours of the next searches, after
    which they are good. `change` gets each page and its number, and returns what is sent. `paging`
    is POST, as at Copernicus, or GET, as at Earth Search. `files` by path are given at any range;
    those below `private` only with a token of `/sas/CONTAINER`, which is valid for `token_lasts`.
    """

    def __init__(self, items=(), landing=None):
        self.items = list(items)
        self.landing = landing or LANDING
        self.script = []
        self.change = lambda page, number: page
        self.paging = "POST"
        self.most = 100
        self.matched = False
        self.files = {}
        self.private = None
        self.token_lasts = 3600.0
        self.tokens, self.valid_tokens = [], 1
        self.requests = []
        self._end = threading.Event()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def running(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.answer(self)

            def do_POST(self):
                owner.answer(self)

            def do_HEAD(self):
                owner.answer(self)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # a client that gives up is no error here
        self.host = f"127.0.0.1:{server.server_port}"
        self.url = f"http://{self.host}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def searches(self):
        return [asked for asked in self.requests if asked.path in ("/v1/search", "/v1/more")]

    def answer(self, handler):
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else {}
        query = {key: value[0] for key, value in parse_qs(parts.query).items()}
        asked = Asked(handler.command, parts.path, query, body, time.monotonic())
        with self._lock:
            self.requests.append(asked)
        with contextlib.suppress(ConnectionError):
            if parts.path in ("/v1", "/v1/"):
                self._send_json(handler, self._local(self.landing))
            elif parts.path in ("/v1/search", "/v1/more"):
                self._search(handler, asked)
            elif parts.path.startswith("/sas/"):
                self._send_json(handler, self._token())
            else:
                self._file(handler, unquote(parts.path), parts.query)

    def _local(self, document):
        text = json.dumps(document)
        return json.loads(text.replace("https://stac.dataspace.copernicus.eu/v1", self.url))

    def _search(self, handler, asked):
        with self._lock:
            behaviour = self.script.pop(0) if self.script else None
        again = asked.path == "/v1/more"
        question = json.loads(asked.query["question"]) if again else asked.body
        found = [item for item in self.items if _fits(item, question)]
        size = min(int(question.get("limit", 10)), self.most)
        start = int(str(question.get("token", "next:0")).rpartition(":")[2])
        page = {
            "type": "FeatureCollection",
            "features": found[start : start + size],
            "links": [{"rel": "self", "href": f"{self.url}/search"}],
            "numberReturned": len(found[start : start + size]),
        }
        if self.matched:
            page["numberMatched"] = len(found)
        if start + size < len(found):
            page["links"].append(self._next({**question, "token": f"next:{start + size}"}))
        page = self.change(page, start // size)
        self._behave(handler, page, behaviour)

    def _next(self, question):
        if self.paging == "GET":
            question = quote(json.dumps(question))
            return {"rel": "next", "method": "GET", "href": f"{self.url}/more?question={question}"}
        return {"rel": "next", "method": "POST", "href": f"{self.url}/search", "body": question}

    def _behave(self, handler, page, behaviour):
        if isinstance(behaviour, Answer):
            self._send(handler, behaviour.body, behaviour.code, behaviour.headers)
            return
        body = json.dumps(page).encode()
        if behaviour is None:
            self._send(handler, body)
            return
        self._head(handler, 200, {"Content-Length": str(len(body)), "Connection": "close"})
        handler.close_connection = True
        if isinstance(behaviour, Drip):
            for at in range(len(body)):
                handler.wfile.write(body[at : at + 1])
                if self._end.wait(timeout=behaviour.pause):
                    return
        else:
            handler.wfile.write(body[: behaviour.after])
            if isinstance(behaviour, Silence):
                self._end.wait(timeout=30)

    def _token(self):
        with self._lock:
            signature = f"s3cr3t+{len(self.tokens)}/signature="
            self.tokens.append(signature)
        end = datetime.now(UTC) + timedelta(seconds=self.token_lasts)
        signed = signature.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        query = f"st=2026-01-01T00%3A00%3A00Z&se={end:%Y-%m-%d}&sp=rl&sr=c&sig={signed}"
        return {"msft:expiry": f"{end:%Y-%m-%dT%H:%M:%SZ}", "token": query}

    def _file(self, handler, path, query):
        if self.private and path.startswith(self.private):
            signature = parse_qs(query).get("sig", [""])[0]
            if signature not in self.tokens[-self.valid_tokens :]:
                self._send(handler, b"PublicAccessNotPermitted", 409)
                return
        content = self.files.get(path)
        if content is None:
            self._send(handler, b"", 404)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        mark = hashlib.md5(content, usedforsecurity=False).hexdigest()
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{mark}"'}
        if wanted is None:
            self._send(handler, content, 200, headers)
            return
        first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._send(handler, content[first : last + 1], 206, headers)

    def _send_json(self, handler, document):
        self._send(handler, json.dumps(document).encode())

    def _send(self, handler, body, code=200, headers=()):
        self._head(handler, code, {"Content-Length": str(len(body)), **dict(headers)})
        if handler.command != "HEAD":
            handler.wfile.write(body)

    def _head(self, handler, code, headers):
        handler.send_response(code)
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.end_headers()


def _fits(item, question):
    """Whether an item fits a search; knows only the conditions that the catalogues use."""
    properties = item.get("properties") or {}
    if "collections" in question and item.get("collection") not in question["collections"]:
        return False
    start, end = map(datetime.fromisoformat, question["datetime"].split("/"))
    if not start <= datetime.fromisoformat(properties["datetime"]) <= end:
        return False
    for key, asked in question.get("query", {}).items():
        if properties.get(key) not in asked.get("in", [asked.get("eq")]):
            return False
    return "filter" not in question or _holds(question["filter"], properties)


def _holds(expression, properties):
    if expression["op"] == "or":
        return any(_holds(one, properties) for one in expression["args"])
    assert expression["op"] == "="
    name, value = expression["args"]
    return properties.get(name["property"]) == value


def delivered_item(safe, product, location=None, collection=None):
    """An item as Copernicus has it, of a SAFE folder that `write_product` made.

    `location` is where it is said to lie; without one, where it lies.
    """
    location = location or str(safe)
    level = product.level
    strip = product.datastrip or f"{product.day:%Y%m%d}T102101"
    made = f"{product.day:%Y%m%d}{product.generation}"
    code = f"{made}_S{strip}_N{product.baseline}"
    assets = {}
    for path in sorted(safe.rglob("*")):
        if path.is_file() and path.suffix in (".jp2", ".xml"):
            name = path.relative_to(safe).as_posix()
            assets[path.stem] = {
                "href": f"{location}/{name}",
                "file:size": path.stat().st_size,
                "file:checksum": f"1620{hashlib.sha3_256(path.read_bytes()).hexdigest()}",
                "file:local_path": f"{safe.name}/{name}",
                "raster:scale": 0.0001,
                "raster:offset": -0.1,
                "nodata": 0,
            }
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": product.name,
        "collection": collection or f"sentinel-2-l{level.lower()}",
        "geometry": None,
        "properties": {
            "datetime": f"{product.day:%Y-%m-%d}T10:21:01.026000Z",
            "platform": "sentinel-2a",
            "grid:code": f"MGRS-{product.tile}",
            "product:type": f"S2MSI{level}",
            "processing:version": product.baseline,
            "eo:cloud_cover": round(product.cloud_cover, 2),
            "eopf:datastrip_id": f"S2A_OPER_MSI_L{level}_DS_2APS_{code}",
        },
        "links": [{"rel": "enclosure", "href": f"{location}/", "type": "application/x-directory"}],
        "assets": assets,
    }


APART = {
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B08": "nir",
    "SCL": "scl",
    "B05": "rededge1",
    "B06": "rededge2",
    "B07": "rededge3",
    "B8A": "nir08",
    "B11": "swir16",
    "B12": "swir22",
}
"""Names of assets of Earth Search, by the end of the name of the image."""


def apart_files(safe, layout="cog"):
    """The files of a SAFE folder, by their names in an archive of single files.

    `cog`: GeoTIFF and XML, as Earth Search has L2A; `jp2`: the tile layout of AWS for L1C, without
    the product's XML.
    """
    (granule,) = (safe / "GRANULE").iterdir()
    files = {}
    for path in sorted(granule.glob("IMG_DATA/**/*.jp2")):
        name = next(band for band in APART if f"_{band}" in path.stem)
        if layout == "jp2":
            files[f"{name}.jp2"] = path.read_bytes()
            continue
        with rasterio.open(path) as source, rasterio.MemoryFile() as memory:
            profile = {"driver": "GTiff", "compress": "deflate", "crs": source.crs}
            profile |= {"transform": source.transform, "dtype": source.dtypes[0], "count": 1}
            profile |= {"width": source.width, "height": source.height}
            with memory.open(**profile, tiled=True, blockxsize=256, blockysize=256) as target:
                target.write(source.read())
            files[f"{name}.tif"] = memory.read()
    metadata = (granule / "MTD_TL.xml").read_bytes()
    (product,) = safe.glob("MTD_MSIL*.xml")
    if layout == "jp2":
        files["metadata.xml"] = metadata
        files["qi/MSK_CLOUDS_B00.gml"] = (granule / "QI_DATA/MSK_CLOUDS_B00.gml").read_bytes()
    else:
        files["granule_metadata.xml"] = metadata
        files["product_metadata.xml"] = product.read_bytes()
    return files


def apart_item(product, location, files, collection, **properties):
    """An item as Earth Search has it, for `apart_files` at a location."""
    assets = {APART[name[:3]]: name for name in files if name[:3] in APART}
    for name in files:
        if name.endswith("metadata.xml"):
            key = "granule_metadata" if name == "metadata.xml" else name.removesuffix(".xml")
            assets[key] = name
    if "tileInfo.json" in files:
        assets["tileinfo_metadata"] = "tileInfo.json"
    bands = [{"nodata": 0, "scale": 0.0001, "offset": -0.1}]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": f"S2A_{product.tile}_{product.day:%Y%m%d}_0_L{product.level}",
        "collection": collection,
        "geometry": None,
        "properties": {
            "datetime": f"{product.day:%Y-%m-%d}T10:28:11.918000Z",
            "grid:code": f"MGRS-{product.tile}",
            "s2:mgrs_tile": product.tile,
            "s2:product_uri": f"{product.name}.SAFE",
            "s2:processing_baseline": product.baseline,
            "eo:cloud_cover": product.cloud_cover,
            **properties,
        },
        "links": [],
        "assets": {
            key: {"href": f"{location}/{name}", "raster:bands": bands}
            for key, name in assets.items()
        },
    }
