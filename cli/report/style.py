"""How the page looks: its style sheet, for light and dark, screens of any width, and paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f7f7f5; --sheet: #ffffff; --ink: #1c1d20; --quiet: #666a73; --rule: #e3e3df;
  --curve: #2f62c9; --under: #2f62c917; --band: #2f62c933; --alert: #b8430c; --good: #1c7a43;
  --alert-soft: #fbeee6; --good-soft: #e9f4ec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #17181b; --sheet: #1f2125; --ink: #e8e8e6; --quiet: #9b9fa8; --rule: #33363c;
    --curve: #82aaf5; --under: #82aaf51c; --band: #82aaf540; --alert: #f09a63; --good: #74c894;
    --alert-soft: #35261d; --good-soft: #1d2e24;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0 auto; padding: 48px 32px 64px; max-width: 1144px; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums;
}
h1, h2, h3, p, dl, dd, figure, ol, ul { margin: 0; padding: 0; font-weight: inherit; }
ol, ul { list-style: none; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -0.01em;
  overflow-wrap: anywhere; }
h2 { margin: 52px 0 4px; font-size: 20px; line-height: 1.3; font-weight: 650; }
h2 + p { margin-bottom: 20px; max-width: 100ch; color: var(--quiet); }
h3 { margin-bottom: 10px; font-size: 15px; font-weight: 650; }
.kind { margin-bottom: 6px; color: var(--quiet); font-size: 14px; }
.facts { margin-top: 8px; color: var(--quiet); }
.facts li { display: inline; }
.facts li + li::before { content: " · "; }
.verdict { margin-top: 28px; padding: 14px 18px; border-left: 4px solid var(--good);
  border-radius: 4px; background: var(--good-soft); }
.verdict.bad { border-color: var(--alert); background: var(--alert-soft); }
.verdict b { font-weight: 650; }
.verdict li { margin-top: 4px; }
.verdict li b { color: var(--good); }
.verdict li.broken b { color: var(--alert); }
.figures { display: grid; gap: 1px; margin-top: 28px; overflow: hidden; border-radius: 8px;
  border: 1px solid var(--rule); background: var(--rule);
  grid-template-columns: repeat(3, minmax(0, 1fr)); }
.figures > div { display: flex; flex-direction: column; padding: 16px 18px;
  background: var(--sheet); }
.figures dt { font-size: 14px; color: var(--quiet); }
.figures dd { font-size: 26px; line-height: 1.3; font-weight: 600; }
.figures dd small { display: inline-block; white-space: nowrap; font-size: 15px;
  font-weight: 400; color: var(--quiet); }
.figures dd + dd { margin-top: 4px; font-size: 13px; line-height: 1.4; font-weight: 400;
  color: var(--quiet); }
.moments { display: grid; gap: 16px; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.spread { display: grid; gap: 20px 16px;
  grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); }
.moments.upright { grid-template-columns: repeat(3, minmax(0, 1fr)); }
.spread.upright { grid-template-columns: repeat(auto-fill, minmax(110px, 1fr)); }
.pair { display: flex; gap: 6px; }
.pair > * { flex: 0 1 0; min-width: 0; }
.moments > li { padding: 10px; border: 1px solid var(--rule); border-radius: 8px;
  background: var(--sheet); scroll-margin: 24px; }
.moments > li:target { outline: 2px solid var(--curve); }
.picture { display: grid; place-items: center; overflow: hidden; border-radius: 4px;
  background: #00b040; }
.picture > div { position: relative; }
.picture img { display: block; width: 100%; height: 100%; }
.box { position: absolute; border: 1.5px solid #fff; border-radius: 2px;
  box-shadow: 0 0 0 1px #0008, inset 0 0 0 1px #0008; }
.spread b, .spread span { display: block; }
.spread p, .when { margin-top: 6px; font-size: 13px; color: var(--quiet); }
.spread b, .when b { font-size: 15px; font-weight: 600; color: var(--ink); }
.when { display: flex; flex-wrap: wrap; align-items: center; gap: 0 8px; margin-top: 10px; }
.rank, .pin { display: inline-grid; place-items: center; width: 20px; height: 20px; flex: none;
  border-radius: 10px; background: var(--quiet); color: var(--sheet); font-size: 12px;
  line-height: 1; font-weight: 650; text-decoration: none; }
.look .rank, .pin.look { background: var(--alert); }
.why { margin: 4px 0 2px; font-size: 14px; line-height: 1.4; }
.why li + li { margin-top: 2px; color: var(--quiet); }
.charts { display: grid; gap: 16px; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.chart { padding: 14px 18px 12px; border: 1px solid var(--rule); border-radius: 8px;
  background: var(--sheet); }
.chart:nth-child(-n + 2) { grid-column: 1 / -1; }
.chart figcaption { font-size: 14px; line-height: 1.4; color: var(--quiet); }
.chart b { font-weight: 650; color: var(--ink); }
.plot { position: relative; height: 120px;
  margin: calc(14px + var(--lanes) * 22px) 16px 26px 48px; }
.chart:nth-child(-n + 2) .plot { height: 150px; }
.chart:nth-child(n + 3) .pin { display: none; }
.chart:nth-child(n + 3) .plot { --lanes: 0; }
.plot svg { display: block; width: 100%; height: 100%; overflow: visible; }
.plot path { fill: none; vector-effect: non-scaling-stroke; }
.grid { stroke: var(--rule); stroke-width: 1; }
.cut { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 1 3; opacity: 0.8; }
.stem { stroke: var(--quiet); stroke-width: 1; opacity: 0.35; }
.level { stroke: var(--alert); stroke-width: 1; stroke-dasharray: 5 4; }
.curve { stroke: var(--curve); stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }
.under { fill: var(--under); }
.band { fill: var(--band); }
.up, .along { position: absolute; font-size: 12px; line-height: 1; color: var(--quiet);
  white-space: nowrap; }
.up { right: calc(100% + 8px); transform: translateY(50%); }
.along { top: calc(100% + 9px); transform: translateX(-50%); }
.pin { position: absolute; bottom: calc(100% + 4px + var(--lane) * 22px);
  transform: translateX(-50%); }
.tables { display: grid; gap: 28px 40px; margin-top: 20px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); align-items: start; }
.tables dl { display: grid; grid-template-columns: minmax(96px, auto) minmax(0, 1fr);
  font-size: 14px; border-top: 1px solid var(--rule); }
.tables dt, .tables dd { padding: 6px 0; border-bottom: 1px solid var(--rule); }
.tables dt { padding-right: 20px; color: var(--quiet); }
.tables dd { overflow-wrap: anywhere; }
details { margin-top: 40px; border-top: 1px solid var(--rule); padding-top: 16px; }
summary { cursor: pointer; font-weight: 650; }
details dl { margin-top: 12px; max-width: 72ch; font-size: 15px; }
details dt { margin-top: 12px; font-weight: 650; }
details dd { color: var(--quiet); }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--curve); outline-offset: 2px; }
@media (max-width: 720px) {
  body { padding: 28px 16px 48px; }
  h1 { font-size: 24px; }
  .figures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .figures > div { padding: 12px 14px; }
  .charts { grid-template-columns: minmax(0, 1fr); }
  .moments, .moments.upright { grid-template-columns: minmax(0, 1fr); gap: 12px; }
  .spread { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 12px 8px; }
  .chart { padding: 12px; }
  .plot { margin-left: 42px; }
}
@media print {
  :root { color-scheme: light; }
  body { padding: 0; max-width: none; font-size: 12px; }
  .moments > li, .chart, .tables section { break-inside: avoid; }
}
"""
