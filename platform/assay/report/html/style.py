"""The style sheet of the page: for screens, phones, dark mode and print."""

CSS = """
:root { color-scheme: light dark; --text: #1b1f24; --dim: #5b6570; --line: #d8dde3; --back: #fff; --soft: #f5f7f9;
  --best: #0a7a3d; --best-back: #e8f6ee; --bad: #b42318; --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ed; --dim: #9aa5b1; --line: #353c45; --back: #14181d;
  --soft: #1d232a; --best: #5fd08c; --best-back: #14301f; --bad: #ff8a7a; --link: #7db8f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(0.8rem, 3vw, 2.5rem) 4rem; max-width: 78rem; background: var(--back);
  color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0 0 .3rem; font-size: 1.7rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.4rem 0 .6rem; font-size: 1.2rem; }
a { color: var(--link); }
.lead { margin: 0 0 .6rem; font-size: 1.05rem; max-width: 52rem; }
.dim { color: var(--dim); }
nav { margin: .8rem 0 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .9rem; }
.wide { overflow-x: auto; margin: 0 0 .8rem; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .65rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody tr:last-child td { border-bottom: 0; }
th { background: var(--soft); font-weight: 600; vertical-align: bottom; line-height: 1.25; }
.num { text-align: right; }
td.num { white-space: nowrap; }
.name { min-width: 15rem; overflow-wrap: anywhere; }
.pin { position: sticky; left: 0; background: var(--back); }
th.pin { background: var(--soft); }
tr.best td { background: var(--best-back); font-weight: 600; }
tr.best td:first-child { color: var(--best); }
tr.faint td { color: var(--dim); }
tr.bad td { color: var(--bad); }
ul { margin: .4rem 0; padding-left: 1.2rem; }
li { margin: .25rem 0; max-width: 60rem; }
figure { margin: 0 0 1.2rem; break-inside: avoid; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: 6px; }
figcaption { margin-top: .35rem; font-size: .88rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 32rem), 1fr)); gap: 1rem; }
.plots figure { margin: 0; overflow-x: auto; }
.plots img { width: 100%; }
.plots .panels { grid-column: 1 / -1; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1rem; }
.samples figure { margin: 0; }
.samples img { width: 100%; image-rendering: pixelated; }
.samples img.large { image-rendering: auto; }
.best-mark { color: var(--best); font-weight: 600; }
pre { margin: .4rem 0; padding: .8rem; overflow-x: auto; background: var(--soft); border: 1px solid var(--line);
  border-radius: 6px; font: .82rem/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--link); }
footer { margin-top: 3rem; font-size: .85rem; color: var(--dim); }
@media (max-width: 40rem) { body { font-size: 15px; } h1 { font-size: 1.35rem; } th, td { padding: .35rem .45rem; }
  .name { min-width: 8rem; max-width: 11rem; } .plots .panels img { width: 44rem; max-width: none; } }
@media print { :root { color-scheme: light; --text: #000; --dim: #444; --line: #bbb; --back: #fff; --soft: #f2f2f2;
  --best: #064; --best-back: #eef7f1; --bad: #900; --link: #000; }
  body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; }
  .wide { overflow: visible; border: 0; } table { font-size: 8pt; } th, td { padding: 2pt 4pt; }
  td.num { white-space: normal; } .pin { position: static; } .name { min-width: 0; }
  .plots { grid-template-columns: 1fr 1fr; gap: 8pt; } .plots .panels img { width: 100%; }
  .samples { grid-template-columns: 1fr 1fr 1fr; gap: 8pt; }
  h2 { break-after: avoid; } tr { break-inside: avoid; } pre { white-space: pre-wrap; } }
"""
