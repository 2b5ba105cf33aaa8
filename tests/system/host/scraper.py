"""A genuine Prometheus beside a test host, in a network of their own that outlives the host's reboots."""

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.monitoring import RULES
from tests.system.host.machine import Machine
from tests.system.host.network import Network, own_network
from tests.system.patience import PATIENCE

_CONFIG = """\
global: {scrape_interval: 250ms, scrape_timeout: 200ms, evaluation_interval: 250ms}
rule_files: [%s]
scrape_configs:
- {job_name: mcd-rt, static_configs: [{targets: ['127.0.0.1:8654']}]}
remote_write:
- {url: 'http://127.0.0.1:9999/', queue_config: {batch_send_deadline: 300ms}}
"""
_RECEIVER = """\
import http.server
class Told(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        print("samples", flush=True)
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", 9999), Told).serve_forever()
"""


class Scraper:
    """Use ``scraping``. Prometheus tells a receiver of each batch of samples, which is when it is worth asking."""

    def __init__(self, network: Network, told: "subprocess.Popen[bytes]") -> None:
        self._network = network
        self._told = told

    def ask(self, query: str) -> dict[str, float]:
        """The instant value of each series, by its labels but for where it was scraped."""
        inside = [*self._network.enter, "promtool", "query", "instant", "-o", "json"]
        done = subprocess.run([*inside, "http://127.0.0.1:9090", query], capture_output=True, text=True, check=True)
        found = {}
        for series in json.loads(done.stdout):
            labels = {key: text for key, text in series["metric"].items() if key not in ("job", "instance", "__name__")}
            found[",".join(labels.values())] = float(series["value"][1])
        return found

    def wait_for(self, query: str, timeout: float = PATIENCE) -> dict[str, float]:
        """Ask again after each batch of samples until there is an answer that is not empty."""
        deadline = time.monotonic() + timeout
        while True:
            assert self._told.stdout is not None
            ready, _, _ = select.select([self._told.stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"waited {timeout:g} s for an answer to {query}; state: {self.ask('mcd_rt_state == 1')}"
            assert self._told.stdout.readline()
            if found := self.ask(query):
                return found


@contextmanager
def scraping(machine: Machine, place: Path) -> Iterator[Scraper]:
    """Give a machine that is off a network, and have Prometheus scrape what will be there."""
    place.mkdir()
    (place / "prometheus.yaml").write_text(_CONFIG % RULES)
    with own_network(machine) as network:
        told = network.start(sys.executable, "-c", _RECEIVER)
        options = (f"--config.file={place}/prometheus.yaml", f"--storage.tsdb.path={place}/data")
        network.start("prometheus", *options, "--web.listen-address=127.0.0.1:9090")
        yield Scraper(network, told)
