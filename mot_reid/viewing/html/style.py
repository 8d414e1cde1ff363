"""The look of a report: light and dark, on a wide screen and on a phone."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --text: #1d2125; --soft: #5f6870; --line: #e2e4e6;
  --c1: #2463c7; --c2: #d0722b; --c3: #1f8a70; --c4: #8a55b5;
  --match: #2a9d5c; --wrong: #d2433f; --ignored: #9aa2a9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #131619; --card: #1b1f23; --text: #e6e8ea; --soft: #9ba4ac; --line: #30363b;
    --c1: #7fadff; --c2: #f0a066; --c3: #58c9a9; --c4: #c39be8;
    --match: #3fbf77; --wrong: #f0655f; --ignored: #7d868e;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.2rem 1.2rem 4rem; max-width: 1080px; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; letter-spacing: -.01em; overflow-wrap: anywhere; }
header p { margin: .4rem 0 0; max-width: none; color: var(--soft); overflow-wrap: anywhere; }
nav { margin: 1.1rem 0 0; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; font-size: .9rem; }
a { color: var(--c1); text-decoration: none; }
a:hover { text-decoration: underline; }
section { margin-top: 2.6rem; }
h2 { margin: 0 0 .9rem; padding-bottom: .35rem; border-bottom: 1px solid var(--line); font-size: 1.15rem; }
p { margin: .4rem 0 1rem; max-width: 72ch; }
.note { margin-top: -.4rem; color: var(--soft); font-size: .85rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(135px, 1fr)); gap: .8rem; }
.tile { padding: .8rem 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
.tile b { display: block; color: var(--soft); font-weight: 500; font-size: .85rem; }
.tile strong {
  display: block; font-size: 1.75rem;
  line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums;
}
.tile strong small { margin-left: .1em; font-size: .55em; font-weight: 500; color: var(--soft); }
.tile span { color: var(--soft); font-size: .82rem; font-variant-numeric: tabular-nums; }
.tiles + .note { margin-top: .6rem; }
.scroll { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 500; color: var(--soft); text-align: left; }
.numbers th, .numbers td { padding: .35rem 1.1rem .35rem 0; border-bottom: 1px solid var(--line); }
.numbers td, .numbers tr:first-child th:not(:first-child) { text-align: right; white-space: nowrap; }
.numbers tr > :first-child { white-space: nowrap; }
.numbers tr > :last-child { padding-right: 0; }
.numbers td small { display: block; color: var(--soft); font-size: .75rem; }
.matrix td, .matrix th { min-width: 3.3rem; padding: .55rem .3rem; text-align: center; }
.matrix td {
  border: 2px solid var(--page);
  border-radius: 4px; background: color-mix(in srgb, var(--c1) var(--w), transparent);
}
.matrix td.none { background: none; color: var(--soft); }
.facts { width: 100%; font-size: .9rem; }
.facts th, .facts td { padding: .35rem 1.2rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.facts th { white-space: nowrap; }
.facts td { width: 100%; overflow-wrap: anywhere; }
pre { margin: .5rem 0; font-size: .78rem; line-height: 1.4; white-space: pre-wrap; }
summary { cursor: pointer; color: var(--c1); }
.charts {
  display: grid; align-items: start; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr));
}
figure { margin: 0; }
.chart { padding: .8rem .8rem .6rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
.chart figcaption { margin: 0 0 .4rem .2rem; font-size: .88rem; font-weight: 500; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
svg .note { fill: var(--text); }
.grid { stroke: var(--line); stroke-width: 1; }
.rule { stroke: var(--text); stroke-width: 1.2; stroke-dasharray: 4 3; }
.line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.area { fill: currentColor; fill-opacity: .18; }
.dot { fill: currentColor; }
.c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); } .c4 { color: var(--c4); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .4rem .2rem 0; font-size: .82rem; }
.key::before {
  content: ""; display: inline-block; width: .8em;
  height: .8em; margin-right: .45em; border-radius: 2px; background: currentColor;
}
.mark { padding-left: .55em; border-left: 4px solid; margin-right: .8em; font-size: .88rem; white-space: nowrap; }
.mark.match { border-color: var(--match); }
.mark.wrong { border-color: var(--wrong); }
.mark.ignored { border-color: var(--ignored); }
.example { display: flex; gap: 1rem; padding: .8rem 0; border-bottom: 1px solid var(--line); }
.example:last-child { border-bottom: 0; }
.asked { flex: none; }
.ap { margin: .1rem 0 0; font-size: .82rem; text-align: center; font-variant-numeric: tabular-nums; }
.answers { display: flex; gap: .55rem; overflow-x: auto; padding-bottom: .4rem; }
.crop {
  flex: none; width: 78px; font-size: .74rem;
  line-height: 1.35; text-align: center; font-variant-numeric: tabular-nums;
}
.crop img {
  display: block; width: 100%; aspect-ratio: 1 / 2;
  object-fit: cover; border-radius: 4px; border: 3px solid transparent;
}
.crop figcaption { margin-top: .2rem; white-space: nowrap; }
.crop figcaption span { display: block; color: var(--soft); }
.crop.query img { border-color: var(--c1); } .crop.query b { color: var(--c1); }
.crop.match img { border-color: var(--match); } .crop.match b { color: var(--match); }
.crop.wrong img { border-color: var(--wrong); } .crop.wrong b { color: var(--wrong); }
.crop.ignored img { border-color: var(--ignored); opacity: .55; } .crop.ignored b { color: var(--ignored); }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 1.4rem 1rem; }
.pair { display: flex; gap: .9rem; }
.pair .crop { width: 155px; }
.pair .crop div { display: flex; gap: 3px; }
.pair .crop img { width: 76px; }
@media (max-width: 560px) {
  body { padding: 1.3rem .9rem 3rem; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(96px, 1fr)); gap: .5rem; }
  .tile { padding: .6rem .7rem; } .tile strong { font-size: 1.35rem; }
  .example { gap: .6rem; } .crop { width: 62px; }
  .pair .crop { width: 150px; } .pair .crop img { width: 73px; }
  .matrix td, .matrix th { min-width: 2.55rem; padding: .5rem 0; font-size: .88rem; }
  .numbers th, .numbers td { padding-right: .7rem; font-size: .9rem; }
  .numbers tr > :first-child { white-space: normal; }
  svg text { font-size: 15px; }
}
@media print { body { max-width: none; } section { break-inside: avoid; } }
"""
"""CSS without any address outside of the page."""
