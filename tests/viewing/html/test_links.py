"""The page of links: what it shows of each link, and what it must not let through."""

from __future__ import annotations

import json
import re

import numpy as np

from mot_reid.viewing.draw import css_colour
from mot_reid.viewing.html.links import Join, Sighting, links_html

PICTURE = np.zeros((16, 8, 3), np.uint8)


def page(**changes) -> str:
    sightings = [
        Sighting("door:3", "door", 1, 0.0, 4.0, PICTURE),
        Sighting("hall:7", "hall", 1, 6.0, 9.0, PICTURE),
        Sighting(changes.get("name", "hall:8"), "hall", 2, 1.0, 2.0, PICTURE),
    ]
    joins = changes.get("joins", [Join(0, 1, 0.815, 0.4, 0.012, 2.0)])
    return str(links_html(sightings, joins, known=changes.get("known", {})))


def test_page_shows_each_link_with_its_reasons_and_buttons() -> None:
    html = page()
    assert 'data-left="door:3" data-right="hall:7"' in html
    assert all(f"<dd>{text}</dd>" in html for text in ("0.815", "0.400", "1.2%", "2.0 s"))
    assert html.count('<button type="button" data-answer="must"') == 1
    assert html.count('<button type="button" data-answer="cannot"') == 1
    assert "3 tracks of 2 cameras, 1 links, 2 identities" in html
    assert html.count("<option>hall:7</option>") == 2 and "Nothing was sure enough" in page(joins=[])
    assert "seen at the same time" in page(joins=[Join(0, 1, 0.8, None, 0.01, -1.0)])


def test_timeline_has_a_bar_for_each_track_in_the_colour_of_its_identity() -> None:
    svg = re.search(r"<svg class=\"timeline\".*?</svg>", page(), re.DOTALL).group()
    bars = re.findall(r'<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)" height="13" fill="([^"]+)"', svg)
    assert [bar[3] for bar in bars] == [css_colour(identity) for identity in (1, 1, 2)]
    assert [bar[1] for bar in bars] == ["5", "20", "35"]
    # 9 seconds over 980 units: bars of 4, 3 and 1 seconds.
    np.testing.assert_allclose([float(bar[2]) for bar in bars], [4 / 9 * 980, 3 / 9 * 980, 980 / 9], atol=0.1)


def test_names_cannot_break_out_of_the_page() -> None:
    bad = '</script><b x="'
    html = page(name=bad, known={"must": [(bad, "door:3")], "cannot": []})
    assert "</script><b" not in html
    known = html.partition('id="known">')[2].partition("</script>")[0]
    assert json.loads(known) == {"must": [[bad, "door:3"]], "cannot": []}
