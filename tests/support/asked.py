"""A job that asks a catalogue on the loopback, called from the command line."""

import json

import yaml

from tests.support.odata_server import entity_of
from tests.support.stac_server import Answer, delivered_item
from tests.support.storage_services import PLANTED

TOKEN = "planted-token-of-nobody"  # noqa: S105 - nobody's
FOREVER = 10_000


class Asked:
    """A job whose catalogue is a server on the loopback; the server can be made to fail."""

    def __init__(self, products, source, server, folder, command):
        self.root, self.made, file = products
        self.source, self.server, self.folder, self.command = source, server, folder, command
        self.content = yaml.safe_load(file.read_text()) | {"output": str(folder / "output")}
        self.content["input"] = {"source": source, "archive": str(self.root)}
        if source == "odata":
            self.at(server.address)
        elif source == "stac":
            self.at(server.url)
        self.entities = [entity_of(safe, one, self.root) for safe, one in self.made]
        self.items = [
            delivered_item(safe, one, f"s3://eodata/{safe.relative_to(self.root)}")
            for safe, one in self.made
        ]
        if source == "odata":
            server.products = self.entities
        elif source == "stac":
            server.items = self.items

    def at(self, address):
        """Ask the catalogue at an address."""
        if self.source == "odata":
            self.content["input"]["catalogue"] = address
            return
        l1c = {"name": "sentinel-2-l1c", "roots": ["s3://eodata"], "safe": True}
        self.content["input"]["api"] = {
            "name": "loopback",
            "address": address,
            "l1c": l1c,
            "per_second": 50,
        }

    def answers(self, status, body, headers=None, times=FOREVER):
        """Give this answer to the next searches, a number of times."""
        if self.source == "stac":
            self.server.script = [Answer(status, body, headers or {})] * times
            return
        left = [times]

        def disturb(_):
            left[0] -= 1
            return (status, headers or {}, body) if left[0] >= 0 else None

        self.server.disturb = disturb

    def changes(self, change):
        """Change each page with a function."""
        if self.source == "stac":
            self.server.change = lambda page, number: change(page)
        else:
            self.server.change = change

    def call(self, command="scenes", *options):
        file = self.folder / "job.yaml"
        file.write_text(yaml.safe_dump(self.content))
        code, out, errors = self.command(command, file, *options)
        for text in (out, errors):
            assert "Traceback" not in text
            assert TOKEN not in text
            assert not any(planted in text for planted in PLANTED)
        return code, out, errors

    def scenes(self):
        """The names in the list of scenes by status, and its warnings."""
        code, out, errors = self.call("scenes", "--format", "json")
        assert (code, errors) == (0, "")
        content = json.loads(out)
        found = {}
        for row in content["scenes"]:
            found.setdefault(row["status"], []).append(row["scene"] or row["location"])
        return found, content["warnings"]

    def is_whole(self):
        found, warnings = self.scenes()
        assert found == {"used": [product.name for _, product in self.made]}
        return warnings

    def ends(self, code, said, command="scenes", *options):
        """Check that the command ends with a code and one line with a text; return the line."""
        found, out, errors = self.call(command, *options)
        (line,) = errors.splitlines()
        assert (found, out) == (code, ""), line
        assert said in line
        assert line.startswith("ghsl-beam: ")
        assert len(line) < 700
        assert line.isprintable()
        assert not (self.folder / "output").exists()
        return line
