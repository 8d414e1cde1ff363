"""The look of what only the tracking report has."""

MOT_STYLE = """
h3 { margin: 1.4rem 0 .3rem; font-size: 1rem; }
.timeline { min-width: 640px; }
.timeline text.in { font-size: 9.5px; }
.timeline .pale { fill: var(--line); }
.event-mark { fill: var(--wrong); stroke: var(--wrong); stroke-width: 1.2; }
.causes td.text { text-align: left; white-space: normal; min-width: 18rem; color: var(--soft); }
.badge {
  display: inline-block; padding: .1em .6em; border-radius: 1em; border: 1px solid var(--tone);
  color: var(--tone); font-size: .82rem; font-weight: 600; white-space: nowrap; --tone: var(--c1);
}
.badge.crossing, .badge.association, .badge.duplicate { --tone: var(--c2); }
.badge.hidden, .badge.missed-detection, .badge.weak-detection { --tone: var(--c4); }
.badge.localisation { --tone: var(--c3); }
.events { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 500px), 1fr)); gap: 1rem; }
.event { padding: .8rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
.event:target { outline: 2px solid var(--c1); }
.event h3, .rest li {
  display: flex; flex-wrap: wrap; gap: .2rem .8rem; align-items: center;
  margin: 0 0 .6rem; font-size: .9rem; font-weight: 500;
}
.chip { display: inline-block; width: .75em; height: .75em; margin-right: .35em; border-radius: 2px; }
.shots { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; }
.shots figcaption { margin-top: .2rem; font-size: .76rem; color: var(--soft); }
.shot { border-radius: 4px; }
.shot .void { fill: var(--line); }
.shot .own { fill: none; stroke: #fff; }
.shot text { fill: #fff; font-weight: 600; }
.event dl {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 0 1.2rem;
  margin: .6rem 0 0; font-size: .8rem;
}
.event dl div {
  display: flex; justify-content: space-between; gap: .6rem; padding: .15rem 0; border-bottom: 1px solid var(--line);
}
.event dt { color: var(--soft); }
.event dd { margin: 0; font-variant-numeric: tabular-nums; }
.rest { list-style: none; padding: 0; }
"""
"""CSS to come after that of all reports."""
