"""An OData catalogue on the loopback, with the rules and limits of the real one of Copernicus."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.archive import Product

MOST = 10_000


def entity(name: str, path: str = "", **fields: object) -> dict[str, object]:
    """A product as OData describes it; its name is that of a compact product."""
    match = re.fullmatch(r"(S2\w)_(MSIL\w\w)_(\w{15})_N(\d\d)(\d\d)_R(\d{3})_T(\w{5})_\w{15}", name)
    assert match is not None
    day = datetime.strptime(match[3], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    level = match[2].removeprefix("MSI")
    folder = path or f"/eodata/Sentinel-2/MSI/{level}/{day:%Y/%m/%d}/{name}.SAFE"
    attributes = {
        "tileId": match[7],
        "productType": f"S2MSI{level.removeprefix('L')}",
        "cloudCover": 12.5,
        "processorVersion": f"{match[4]}.{match[5]}",
        "datastripId": f"S2A_OPER_MSI_L1C_DS_2APS_{match[3]}_S{match[3]}_N{match[4]}.{match[5]}",
    }
    attributes |= {key: fields.pop(key) for key in list(fields) if key in attributes}
    return {
        "Id": f"id-of-{name}",
        "Name": f"{name}.SAFE",
        "ContentLength": 224105657,
        "Online": True,
        "S3Path": folder,
        "Checksum": [],
        "ContentDate": {"Start": f"{day:%Y-%m-%dT%H:%M:%S}.024000Z"},
        "Attributes": [{"Name": key, "Value": value} for key, value in attributes.items()],
    } | fields


def entity_of(safe: Path, product: Product, root: Path) -> dict[str, object]:
    """A product as OData describes it, below `/eodata`."""
    return entity(
        product.name,
        f"/eodata/{safe.relative_to(root).as_posix()}",
        cloudCover=product.cloud_cover + 0.0001,
        datastripId=f"S2A_OPER_MSI_L1C_DS_SGS__X_S{product.datastrip}_N{product.baseline}",
    )


class ODataServer:
    """Answers searches among `products`; `disturb` may answer before it, with status and body."""

    def __init__(self) -> None:
        self.products: list[dict[str, object]] = []
        self.disturb: Callable[[dict[str, str]], tuple[int, dict[str, str], bytes] | None]
        self.disturb = lambda asked: None
        self.change: Callable[[dict[str, object]], dict[str, object]] = lambda page: page
        self.asked: list[dict[str, str]] = []
        self.moments: list[datetime] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                asked = {key: values[0] for key, values in parse_qs(url.query).items()}
                server.asked.append(asked)
                server.moments.append(datetime.now(UTC))
                answer = server.disturb(asked) or server.answer(asked)
                status, headers, body = answer
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # a client that gives up is no error here
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/odata/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, asked: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """A page, as the catalogue of Copernicus gives it."""
        skip, top = int(asked.get("$skip", "0")), min(int(asked.get("$top", "20")), 1000)
        if skip > MOST:
            return _json({"detail": [{"msg": "Input should be less than or equal to 10000"}]}, 422)
        found = [product for product in self.products if _fits(product, asked["$filter"])]
        found.sort(key=lambda one: (str(one["ContentDate"]), str(one["Id"])))
        page: dict[str, object] = {"value": found[skip : skip + top]}
        if "$count" in asked:
            page["@odata.count"] = len(found)
        after = skip + top
        if after < len(found) and after <= MOST:
            link = f"{self.address}/Products?{urlencode(asked | {'$skip': str(after)})}"
            page["@odata.nextLink"] = link
        return _json(self.change(page))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _json(content: object, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _fits(product: dict[str, object], conditions: str) -> bool:
    attributes = {one["Name"]: one["Value"] for one in product["Attributes"]}
    start = product["ContentDate"]["Start"][:23] + "Z"
    names = re.findall(r"att/Name eq '(\w+)' and att/[\w.]+/Value eq '(\w+)'", conditions)
    bounds = re.findall(r"ContentDate/Start (ge|lt) (\S+)", conditions)
    assert (len(names), len(bounds)) == (2, 2), conditions
    assert "Collection/Name eq 'SENTINEL-2'" in conditions
    return all(attributes[name] == value for name, value in names) and all(
        start >= value if sign == "ge" else start < value for sign, value in bounds
    )


@contextmanager
def odata_server() -> Iterator[ODataServer]:
    """A new catalogue without products."""
    server = ODataServer()
    try:
        yield server
    finally:
        server.close()


def many(count: int, tile: str = "33UUU") -> list[dict[str, object]]:
    """A number of products of one tile, one every two hours from the beginning of 2020."""
    first = datetime(2020, 1, 1, tzinfo=UTC)
    stamps = (f"{first + timedelta(hours=2 * n):%Y%m%dT%H%M%S}" for n in range(count))
    return [entity(f"S2A_MSIL1C_{stamp}_N0500_R065_T{tile}_{stamp}") for stamp in stamps]
