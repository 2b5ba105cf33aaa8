"""The newest layer of an image by skopeo's proxy, its bytes thrown away: prints the seconds, and those of processors.

``python -m tests.bench.proxy ROOT IMAGE``: what no fetch by way of it can be faster than. Timed from where skopeo is
started.
"""

import json
import sys
import time

from mcd_rt.content.manifest import MAX_DOCUMENT, descriptor_of
from mcd_rt.content.proxy import open_proxy
from mcd_rt.content.skopeo import skopeo_for
from mcd_rt.model.image import ImageReference
from tests.bench.one import processor

_PATIENCE = 60.0


def read(root: str, image: ImageReference) -> tuple[float, float]:
    skopeo = skopeo_for(image.place, root, (), "x86_64", "/var/tmp")
    started, used = time.perf_counter(), processor()
    argv = skopeo.verb("experimental-image-proxy")
    with open_proxy(argv, skopeo.environment, _PATIENCE, str(image)) as proxy:
        proxy.initialize()
        opened = proxy.open_image(f"docker://{image}")
        newest = descriptor_of(json.loads(proxy.manifest(opened, MAX_DOCUMENT))["layers"][-1])
        with proxy.blob(opened, newest) as pipe:
            while pipe.read(1 << 20):
                pass
    return time.perf_counter() - started, processor() - used


if __name__ == "__main__":
    print(*read(sys.argv[1], ImageReference.parse(sys.argv[2])))
