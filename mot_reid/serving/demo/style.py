"""The look of the demo: light and dark, on a wide screen and on a phone."""

STYLE = """
:root { --soft: #5f6870; --blue: #2463c7; }
.dark { --soft: #9ba4ac; --blue: #7fadff; }
.gradio-container { max-width: 1180px !important; margin: 0 auto !important; }
.gradio-container h1 { margin: .2rem 0 0; font-size: 1.6rem; letter-spacing: -.01em; }
.gradio-container h3 { margin: 1.2rem 0 .5rem; font-size: 1rem; font-weight: 600; }
.lead { margin: .2rem 0 .6rem; color: var(--soft); }
.note { margin: .3rem 0; color: var(--soft); }
.problem {
  margin: .3rem 0; padding: .6rem .9rem; border-left: 4px solid #d2433f; border-radius: 4px;
  background: color-mix(in srgb, #d2433f 10%, transparent); color: var(--body-text-color); overflow-wrap: anywhere;
}
.progress { display: flex; align-items: center; gap: .8rem; margin: .4rem 0; color: var(--soft); }
.progress .track {
  flex: 1; height: 8px; overflow: hidden; border-radius: 4px; background: var(--border-color-primary);
}
.progress .track div { height: 100%; background: var(--blue); transition: width .3s; }
.progress span { white-space: nowrap; font-variant-numeric: tabular-nums; }
.result video { display: block; width: 100%; max-height: 62vh; border-radius: 8px; background: #000; }
.tiles { display: grid; grid-template-columns: repeat(3, 1fr); gap: .6rem; margin: .8rem 0; }
.tiles div {
  padding: .55rem .8rem; border: 1px solid var(--border-color-primary); border-radius: 8px;
  background: var(--background-fill-primary);
}
.tiles dt { color: var(--soft); font-size: .8rem; }
.tiles dd { margin: 0; font-size: 1.2rem; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.scroll { overflow-x: auto; contain: inline-size; }
.timeline { display: block; width: 100%; min-width: 480px; height: auto; }
.timeline text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.timeline .in { font-size: 10px; }
.timeline .grid { stroke: var(--border-color-primary); stroke-width: 1; }
.rows {
  width: 100%; margin: .6rem 0; border: 0 !important; border-collapse: collapse; font-variant-numeric: tabular-nums;
}
.rows tr { border: 0 !important; }
.rows th { font-weight: 500; color: var(--soft); }
.rows th, .rows td {
  padding: .35rem .8rem .35rem 0 !important; border: 0 !important;
  border-bottom: 1px solid var(--border-color-primary) !important; text-align: right; white-space: nowrap;
}
.rows th:first-child, .rows td:first-child { text-align: left; }
.rows td:first-child { white-space: normal; overflow-wrap: anywhere; }
.rows th:last-child, .rows td:last-child { padding-right: 0 !important; }
.dot { display: inline-block; width: .8em; height: .8em; margin-right: .5em; border-radius: 50%; }
.links { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; margin: .8rem 0 0; }
.links a { color: var(--blue); text-decoration: underline; }
.answer {
  padding: .9rem 1.1rem; border: 1px solid var(--border-color-primary); border-left: 5px solid; border-radius: 8px;
}
.answer.known { border-left-color: #2a9d5c; }
.answer.nobody { border-left-color: #9aa2a9; }
.answer strong { font-size: 1.3rem; overflow-wrap: anywhere; }
.answer p { margin: .2rem 0 .7rem; color: var(--soft); overflow-wrap: anywhere; }
.similar { margin: 0; padding: 0; list-style: none; }
.similar li {
  display: grid; grid-template-columns: minmax(4rem, 9rem) 1fr 3rem; gap: .7rem; align-items: center; padding: .15rem 0;
  font-variant-numeric: tabular-nums;
}
.similar li > :first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.similar li > :last-child { text-align: right; }
.similar .bar { position: relative; height: 10px; border-radius: 5px; background: var(--border-color-primary); }
.similar .bar i { display: block; height: 100%; border-radius: 5px; background: var(--blue); }
.similar .bar b { position: absolute; top: -3px; bottom: -3px; width: 2px; background: var(--body-text-color); }
@media (max-width: 560px) {
  .tiles { grid-template-columns: repeat(2, 1fr); }
  .rows { font-size: .9rem; }
  .rows th, .rows td { padding-right: .5rem !important; }
  .similar li { grid-template-columns: 5rem 1fr 3rem; }
}
"""
"""CSS without any address outside of the page; Gradio's variables carry its light and dark colours."""
