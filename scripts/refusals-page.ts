// Writes docs/refusals.md from the table of refusal reasons: npm run generate
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exceptionToShow, informationBlockingException } from "#audit/information-blocking";
import { renamedReasons } from "#audit/renamed-reasons";
import { allRefusals } from "#entrypoint/all-refusals";
import type { RefusalRow } from "#entrypoint/public-face";
import { recordedOnly } from "#entrypoint/client-refusals";

const page = join(import.meta.dirname, "../docs/refusals.md");
const rows: readonly (readonly [string, RefusalRow])[] = Object.entries(allRefusals);

/** A list below a heading for each status. Reasons that a caller cannot tell apart share an entry. */
function listByStatus<Face extends { readonly status: number }>(
  faceOf: (row: RefusalRow) => Face | undefined,
  textOf: (face: Face) => string,
): string {
  const entries = new Map<number, Map<string, string[]>>();
  for (const [reason, row] of rows) {
    const face = faceOf(row);
    if (face === undefined) continue;
    const texts = entries.get(face.status) ?? new Map<string, string[]>();
    entries.set(face.status, texts);
    const text = textOf(face);
    texts.set(text, [...(texts.get(text) ?? []), `\`${reason}\``]);
  }
  return [...entries]
    .toSorted(([left], [right]) => left - right)
    .map(([status, texts]) => {
      const lines = [...texts].map(([text, reasons]) => `- ${text} ${reasons.join(" ")}`);
      return [`### ${status}`, lines.join("\n")].join("\n\n");
    })
    .join("\n\n");
}

const asList = (entries: readonly (readonly [string, string])[]): string =>
  entries.map(([name, text]) => `- ${name}: ${text}`).join("\n");

const byException = Map.groupBy(rows, ([reason]) => informationBlockingException(reason));
/** The exceptions whose code the answer shows too, but for reasons that a row decides. */
const exceptionsShown = new Set(rows.flatMap(([reason]) => exceptionToShow(reason) ?? []));
const keptBack = rows
  .filter(([reason]) => {
    const exception = informationBlockingException(reason);
    return exception !== undefined && exceptionsShown.has(exception) && exceptionToShow(reason) === undefined;
  })
  .map(([reason]) => `\`${reason}\``)
  .join(" and ");
/** The reasons of an exception. Three or more with one beginning, if it has no other exception, are one entry. */
function reasonsOf(exception: string, found: readonly string[]): string {
  const families = Map.groupBy(found, (reason) => reason.slice(0, reason.indexOf("_") + 1));
  return [...families]
    .flatMap(([family, members]) => {
      const all = rows.filter(([reason]) => family !== "" && reason.startsWith(family));
      const isWhole =
        all.length > 2 && all.every(([reason]) => informationBlockingException(reason) === exception);
      return isWhole ? [`\`${family}…\``] : members.map((reason) => `\`${reason}\``);
    })
    .join(" ");
}
const exceptionList = asList(
  [...byException].flatMap(([exception, found]) =>
    exception === undefined
      ? []
      : [
          [
            exception,
            reasonsOf(
              exception,
              found.map(([reason]) => reason),
            ),
          ] as const,
        ],
  ),
);

const sections = [
  `# Refusals

For developers of clients, and for operators who read records: every refusal of the FHIR API, the token endpoint and the admin API, what to do next, and the reason that the ledger records.`,
  `An answer never says which check of a credential failed, and what a row decided looks like what is absent. The record has the exact reason: an operator finds it by the request id (\`X-Request-Id\`) with \`phylax ledger read --reason CODE\` ([auditors.md](auditors.md)). This page is written by \`npm run generate\` from \`src/entrypoint/client-refusals.ts\` and, for the admin API, \`operator-refusals.ts\`.`,
  `## FHIR API

An OperationOutcome with one issue, below its status: the issue code, the text, and the reasons in the record. Where FHIR itself has the name (a parameter, an interaction, an operation), the text ends with it.

A refusal rests on one exception to information blocking (45 CFR part 171). A reader of the record gets its code with each reason. \`details.coding\` of the answer has the code (system \`https://www.ecfr.gov/current/title-45/part-171\`) only where type, purpose or policy decided: ${[...exceptionsShown].join(", ")}, without ${keptBack}. An answer that a row decided names none. A name that ends in … stands for each reason that begins so.

${exceptionList}`,
  listByStatus(
    ({ gateway }) => gateway,
    ({ code, text }) => `${code}: ${text}`,
  ),
  `## Token endpoint

\`error\` and \`error_description\` (RFC 6749 §5.2). \`/oauth/introspect\` and \`/oauth/revoke\` answer in the same way.`,
  listByStatus(
    ({ token }) => token,
    ({ error, description }) => `\`${error}\`: ${description}`,
  ),
  `## Admin API

Problem details (RFC 9457). A document that is not taken (422) is answered with \`pointer\` and \`detail\` beside the title. The member \`reason\` has the reason code, once the operator is proven; a refusal of the operator never names the failed check.`,
  listByStatus(
    ({ admin }) => admin,
    ({ title }) => title,
  ),
  `## In records only

The answer was not an error, or had begun.`,
  asList(Object.entries(recordedOnly).map(([reason, meaning]) => [`\`${reason}\``, meaning])),
  `## Renamed reasons

Records of earlier versions have the old code of ${renamedReasons.size} reasons; \`src/audit/renamed-reasons.ts\` lists them. \`phylax ledger read\`, \`ledger export --fhir\` and \`breach-scope\` show the new code, and \`--reason\` takes either.`,
];

export const refusalsPage = `${sections.join("\n\n")}\n`;
export const storedPage = (): string => readFileSync(page, "utf8");

if (import.meta.main) writeFileSync(page, refusalsPage);
