/** The table of a summed accounting has eight columns, or nine: the longest words of nine need 864 px. */
const summedTable = "table:has(th:nth-child(7))";

/** Shows each line of a table as a card, with the head of each column above its text. */
const cards = (table: string): string =>
  `${table}{font-size:1em}${table},${table} :is(caption,tbody,tr,th[scope=row],td){display:block}` +
  `${table} thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}` +
  `${table} tbody tr{border:1px solid var(--line);border-radius:.5rem;padding:.75rem;margin-bottom:.75rem}` +
  `${table} :is(tbody th,td){border:0;padding:0 0 .5rem}` +
  `${table} td::before{content:attr(data-head);display:block;color:var(--soft);font-size:.875rem}` +
  `${table} td:last-child{padding:0}${table} td:last-child::before{content:none}`;

/** The page's only style. A line of the table is a card on a narrow screen; paper shows no folded part. */
export const pageStyle =
  ":root{color-scheme:light dark;--ink:#1a1c1e;--soft:#54595f;--line:#c9ced4;--paper:#fff;--tint:#f3f5f7;--link:#0b57a4;--good:#1b6e37;--bad:#b3261e}" +
  "@media screen and (prefers-color-scheme:dark){:root{--ink:#e6e8ea;--soft:#a9b0b7;--line:#41474d;--paper:#15181b;--tint:#1f2327;--link:#8bbcf0;--good:#7fd19b;--bad:#f2b8b5}}" +
  "*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;margin:0;color:var(--ink);background:var(--paper);overflow-wrap:break-word}" +
  "main{max-width:72rem;margin:0 auto;padding:1.5rem 1rem 3rem}h1{font-size:1.75rem;line-height:1.2;margin:0 0 .5rem}h2{font-size:1.15rem;margin:2rem 0 .25rem}" +
  "p{max-width:65ch;margin:.5rem 0}a{color:var(--link)}" +
  "main>dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.5rem;padding:1rem;background:var(--tint);border-radius:.5rem}" +
  "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}" +
  "table{border-collapse:collapse;width:100%;margin-top:1.5rem}caption{text-align:left;color:var(--soft);padding:0 0 .5rem}" +
  "th,td{border-bottom:1px solid var(--line);padding:.6rem .75rem .6rem 0;text-align:left;vertical-align:top}tbody th{font-weight:600}" +
  `${summedTable}{font-size:.875em}${summedTable} summary{white-space:normal}` +
  "summary{cursor:pointer;color:var(--link);white-space:nowrap}td details[open] summary{margin-bottom:.5rem}td dl{margin:0;font-size:.875rem;max-width:26rem}td dd{margin:0 0 .4rem}" +
  "button{font:inherit;padding:.5rem 1rem;margin:.5rem 0;border:1px solid var(--link);border-radius:.25rem;background:var(--paper);color:var(--link);cursor:pointer}[data-verdict]{display:block;font-weight:400;font-size:.875rem}[data-verdict=proven]{color:var(--good)}[data-verdict=wrong],main[data-checked=wrong] [role=status]{color:var(--bad);font-weight:600}[data-check] p{overflow-wrap:anywhere}" +
  "strong{display:block;margin-bottom:.25rem}code{font-size:.7rem;display:block;word-break:break-all}" +
  `@media screen and (max-width:44rem){summary{white-space:normal}main>dl{grid-template-columns:1fr;gap:0}main>dl dd{margin-bottom:.5rem}${cards("table")}}` +
  `@media screen and (max-width:60rem){${cards(summedTable)}}` +
  "@media print{body{font-size:10pt}main{padding:0;max-width:none}main>dl{border:1px solid var(--line)}tr{break-inside:avoid}details,[data-check]{display:none}thead th:last-child{visibility:hidden}}";
