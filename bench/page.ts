// Makes the results of bench/results.md from a file that `npm run bench -- --json FILE` wrote: prints them, or
// writes them into the page between its two marks.
import { readFileSync, writeFileSync } from "node:fs";
import { boundText, targetOf } from "./measures.ts";
import { measureRow, reportFormat, type Report } from "./report.ts";
import type { RequestsReport } from "./requests/group.ts";
import { payloadsText, requestRows, requestTitles } from "./requests/table.ts";

const [file, page] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: node scripts/with-node.mjs bench/page.ts FILE [PAGE]");
  process.exit(2);
}
const report: Report = JSON.parse(readFileSync(file, "utf8"));
if (report.format !== reportFormat) {
  console.error(`${file} is not written by this version of the benchmark`);
  process.exit(2);
}

const markdown = (rows: readonly (readonly string[])[]): string => {
  const [head = [], ...rest] = rows;
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(head),
    line(head.map((name, i) => (i === 0 || name === "quantity" ? "---" : "--:"))),
    ...rest.map(line),
  ].join("\n");
};

const list = (lines: readonly string[]) => lines.map((line) => `- ${line.trim()}`).join("\n");

/** One table for all plans: medians over the turns. */
function requestsOf(requests: RequestsReport): readonly string[] {
  const tables = requestRows(requests);
  const [head = []] = tables[0] ?? [];
  const rows = requests.plans.flatMap(({ name }, i) =>
    (tables[i] ?? []).slice(1).map(([peer = "", ...cells]) => [`${name}, ${peer}`].concat(cells)),
  );
  return [
    markdown([["plan, peer"].concat(head.slice(1)), ...rows]),
    list(requestTitles(requests)),
    `Payloads, from ${requests.source}:`,
    list(payloadsText(requests).split("\n")),
  ];
}

const { machine, measures, requests, at, duration, seconds, withheld } = report;
const [before, after] = machine.load.map((value) => value.toFixed(1));
const command = `npm run bench${duration === "full" ? "" : ` -- --${duration}`}`;
const text = [
  `${at.slice(0, 10)}, \`${command}\`: ${machine.cores} cores of ${machine.cpu}, Linux ${machine.kernel}, ` +
    `Node ${machine.node}, workerd ${machine.workerd}; load average ${before} before and ${after} after; the run took ${seconds} seconds.`,
  markdown([
    ["id", "quantity", "value", "from", "to", "must", "goal", "verdict"],
    ...measures.map((measure) => {
      const [id = "", value = "", unit = "", , , from = "", to = "", , , verdict = ""] = measureRow(
        measure,
        withheld,
      );
      const { says, must, goal } = targetOf(measure.id);
      const shown = unit === "×" || value === "–" ? value : `${value} ${unit}`;
      const bounds = [boundText(must), goal === undefined ? "" : boundText(goal)];
      return [`\`${id}\``, says, shown, from, to, ...bounds, verdict];
    }),
  ]),
  ...(withheld === null ? [] : [`No verdicts: ${withheld}.`]),
  ...measures.flatMap(({ id, why }) => (why === undefined ? [] : [`\`${id}\`: ${why}.`])),
  ...(requests === null ? [] : requestsOf(requests)),
].join("\n\n");

if (page === undefined) console.log(text);
else {
  const marked = /(?<=<!-- results -->\n).*(?=<!-- end of results -->)/su;
  const old = readFileSync(page, "utf8");
  if (!marked.test(old)) throw new Error(`${page} has no marks for the results`);
  writeFileSync(
    page,
    old.replace(marked, () => `\n${text}\n\n`),
  );
}
