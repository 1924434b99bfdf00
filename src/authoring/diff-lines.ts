import type { PolicyDifference } from "./diff.ts";

/** The differences of two policies as indented lines; types and rows with equal differences share them. */
export function diffLines(differences: readonly PolicyDifference[]): readonly string[] {
  const byType = [...Map.groupBy(differences, ({ type }) => type ?? "the policy")];
  const alike = Map.groupBy(byType, ([, ofType]) => linesOf(ofType).join("\n"));
  return [...alike].flatMap(([lines, types]) =>
    [types.map(([type]) => type).join(", ")].concat(lines.split("\n")),
  );
}

function linesOf(differences: readonly PolicyDifference[]): readonly string[] {
  const byRows = Map.groupBy(differences, ({ rows }) => rows ?? "");
  return [...byRows].flatMap(([rows, ofRows]) => {
    const alike = Map.groupBy(ofRows, ({ change, interactions, what }) =>
      [change, interactions.join(", "), what].join(":"),
    );
    const indent = rows === "" ? "  " : "    ";
    const lines = [...alike.values()].map((same) => indent + lineOf(same));
    return rows === "" ? lines : [`  of rows where ${shortened(rows)}`].concat(lines);
  });
}

function lineOf(alike: readonly PolicyDifference[]): string {
  const [first] = alike;
  const names = alike.map(({ name }) => name).join(", ");
  const interactions =
    first === undefined || first.interactions.length === 0 ? "" : `${first.interactions.join(", ")}: `;
  return `${first?.change === "more" ? "+" : "-"} ${interactions}${first?.what === "interaction" ? "shows" : first?.what} ${names}`;
}

/**
 * Shortens a code system to the last part of its URL and a long list to its beginning. `--json` prints all of
 * it.
 */
const shortened = (text: string) =>
  text
    .replaceAll(/https?:\/\/(?:[^\s|]*\/)?(?=[^/|\s]+\|)/gu, "")
    .replaceAll(/(?<=one of )[^;]+/gu, (list) => {
      const codes = list.split(", ");
      return codes.length <= 4 ? list : `${codes.slice(0, 3).join(", ")} and ${codes.length - 3} more`;
    });
