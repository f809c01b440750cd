"""Pictures of the page at four sizes, light and dark, in both languages: look at them after a change of the page.

`python tools/screenshots.py OUT` photographs the province of the tests; `--url` any running netwatch on loopback.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDE = 1000  # narrower pages scroll: photograph all of them
SIZES = ((360, 740), (768, 1024), (1366, 768), (1920, 1080))


async def photograph(url: str, folder: Path, paths: Mapping[str, str]) -> None:
    from tests.browser import browser  # noqa: PLC0415  # found once sys.path knows the root

    for width, height in SIZES:
        async with browser() as chromium:
            for scheme in ("light", "dark"):
                for language in ("vi", "en"):
                    tab = await chromium.open(width, height, scheme=scheme, language=language)
                    for name, path in paths.items():
                        await tab.go(url + path)
                        file = folder / f"{name}-{width}x{height}-{scheme}-{language}.png"
                        await tab.picture(file, whole=width < WIDE)
                        print(file)
                    for complaint in tab.complaints():
                        print(complaint, file=sys.stderr)
                    await tab.close()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--url", default="")
    parser.add_argument("--site", default="na-tau")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(ROOT))
    paths = {"wall": "/", "site": f"/sites/{given.site}"}
    if given.url:
        await photograph(given.url.rstrip("/"), given.out, paths)
        return
    from tests.page_server import FakeDaemon, serve  # noqa: PLC0415  # found once sys.path knows the root
    from tests.province import province  # noqa: PLC0415  # the same

    runner, url = await serve(FakeDaemon(province()))
    try:
        await photograph(url, given.out, paths)
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
