"""Writes grafana/dashboards/<language>/*.json. Run it after a change of the panels or of netwatch/lang/*/grafana.json.

python tools/dashboards.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from dashboard_overview import overview
from dashboard_parts import Words
from dashboard_site import site
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from netwatch.lang import LANGUAGES

FOLDER = Path(__file__).parent.parent / "grafana" / "dashboards"


def main(folder: Path) -> None:
    for language in LANGUAGES:
        for name, make in (("overview", overview), ("site", site)):
            file = folder / language / f"netwatch-{name}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            text = JSONEncoder(indent=2, ensure_ascii=False).encode(make(Words(language)))
            file.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
