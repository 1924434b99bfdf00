import * as fc from "fast-check";
import { test } from "vitest";
import { inLane } from "../../support/lane.ts";
import { judgeConsent } from "#policy/consent/judge-consent";
import { readConsent } from "#policy/consent/read-consent";
import { rowFactsOf } from "#policy/consent/row-facts";
import { base, consent, level, observation, purpose, recipient, requestOf, sensitivity } from "./scene.ts";

// The grammar of IHE Privacy Consent on FHIR 1.1, small: a root and at most one exception.
interface Rule {
  readonly type: "permit" | "deny";
  readonly purpose?: string;
  readonly actor?: string;
  readonly until?: string;
  readonly data?: Data;
}
type Data =
  | { readonly is: "year" | "instance" | "author"; readonly of: string }
  | { readonly is: "label"; readonly of: string };
interface Row {
  readonly id: string;
  readonly year?: string;
  readonly author: string;
  readonly level?: string;
  readonly kinds: readonly string[];
}

const effects = ["permit", "deny"] as const;
const rootData: readonly (Data | undefined)[] = [
  undefined,
  { is: "year", of: "2022" },
  { is: "label", of: "N" },
  { is: "instance", of: "a" },
  { is: "author", of: "author" },
];
const exceptionData: readonly (Data | undefined)[] = [
  undefined,
  { is: "label", of: "PSY" },
  { is: "label", of: "R" },
  { is: "year", of: "2021" },
  { is: "instance", of: "b" },
];
const rules = (
  purposes: readonly (string | undefined)[],
  actors: readonly (string | undefined)[],
  ends: readonly (string | undefined)[],
  data: readonly (Data | undefined)[],
): readonly Rule[] =>
  effects.flatMap((type) =>
    purposes.flatMap((code) =>
      actors.flatMap((actor) =>
        ends.flatMap((until) =>
          data.map((limit) => ({
            type,
            ...(code !== undefined && { purpose: code }),
            ...(actor !== undefined && { actor }),
            ...(until !== undefined && { until }),
            ...(limit !== undefined && { data: limit }),
          })),
        ),
      ),
    ),
  );
const roots = rules([undefined, "TREAT"], [undefined, "p"], [undefined, "2020"], rootData);
const exceptions: readonly (Rule | undefined)[] = [
  undefined,
  ...rules([undefined, "BTG", "HRESCH"], [undefined, "q"], [undefined], exceptionData),
];
const purposes = ["TREAT", "BTG", "HPAYMT"];
const askers = ["p", "q"];
const rows: readonly Row[] = [
  { id: "a", year: "2022", author: "author", level: "N", kinds: [] },
  { id: "b", year: "2021", author: "other", level: "R", kinds: ["PSY"] },
  { id: "c", year: "2022", author: "other", kinds: ["HIV"] },
  { id: "d", year: "2023", author: "author", level: "V", kinds: [] },
];

const documentOf = (rule: Rule, exception: Rule | undefined): object => ({
  type: rule.type,
  ...(rule.purpose !== undefined && { purpose: [purpose(rule.purpose)] }),
  ...(rule.actor !== undefined && { actor: [recipient({ reference: `Practitioner/${rule.actor}` })] }),
  ...(rule.until !== undefined && { period: { end: rule.until } }),
  ...(rule.data?.is === "year" && { dataPeriod: { start: rule.data.of, end: rule.data.of } }),
  ...(rule.data?.is === "label" && {
    securityLabel: [/^[NRV]$/u.test(rule.data.of) ? level(rule.data.of) : sensitivity(rule.data.of)],
  }),
  ...(rule.data?.is === "instance" && {
    data: [{ meaning: "instance", reference: { reference: `Observation/${rule.data.of}` } }],
  }),
  ...(rule.data?.is === "author" && {
    data: [{ meaning: "authoredby", reference: { reference: `Practitioner/${rule.data.of}` } }],
  }),
  ...(exception !== undefined && { provision: [documentOf(exception, undefined)] }),
});
const rowOf = (row: Row) =>
  observation({
    id: row.id,
    effectiveDateTime: row.year,
    performer: [{ reference: `Practitioner/${row.author}` }],
    meta: {
      security: [...(row.level === undefined ? [] : [level(row.level)]), ...row.kinds.map(sensitivity)],
    },
  });

/**
 * The independent evaluator, after IHE's order of evaluation (volume 1 §53.4.2): frame, root, residual rules.
 * Nothing of the engine is used.
 */
function expected(root: Rule, exception: Rule | undefined, code: string, who: string, row: Row): string {
  if (!concerns(root, code, who)) return "silent";
  if (exception !== undefined && concerns(exception, code, who) && selects(exception, row))
    return exception.type;
  if (root.data === undefined || selects(root, row)) return root.type;
  return root.type === "permit" ? "deny" : "silent";
}
const above: Readonly<Record<string, readonly string[]>> = {
  TREAT: ["TREAT"],
  BTG: ["BTG", "ETREAT", "TREAT"],
  HPAYMT: ["HPAYMT"],
};
const concerns = (rule: Rule, code: string, who: string): boolean =>
  (rule.purpose === undefined || above[code]?.includes(rule.purpose) === true) &&
  (rule.actor === undefined || rule.actor === who) &&
  rule.until !== "2020";
function selects({ type, data }: Rule, row: Row): boolean {
  if (data === undefined) return true;
  if (data.is === "year") return row.year === data.of;
  if (data.is === "instance") return row.id === data.of;
  if (data.is === "author") return row.author === data.of;
  const order = "NRV";
  const found = row.level === "V" ? "V" : row.kinds.length > 0 ? "R" : (row.level ?? "N");
  if (!order.includes(data.of)) return row.kinds.includes(data.of);
  const [limit, own] = [order.indexOf(data.of), order.indexOf(found)];
  return type === "permit" ? own <= limit : own >= limit;
}

test("every pair of a small Consent and a request has the verdict of an independent evaluator", ({
  expect,
}) => {
  const facts = rows.map((row) => ({ row, facts: rowFactsOf(rowOf(row), base) }));
  const asks = purposes.flatMap((code) =>
    askers.map((who) => ({ code, who, request: requestOf({ purpose: code, who: [`Practitioner/${who}`] }) })),
  );
  const step = inLane({ fast: 4, slow: 1, long: 1 });
  let [place, pairs] = [0, 0];
  for (const root of roots)
    for (const exception of exceptions) {
      if (place++ % step !== 0) continue;
      const read = readConsent(consent(documentOf(root, exception)), base);
      for (const { code, who, request } of asks)
        for (const { row, facts: known } of facts) {
          pairs++;
          const found = judgeConsent(read, request, known).verdict;
          if (found !== expected(root, exception, code, who, row))
            expect.fail(
              `${JSON.stringify({ root, exception, code, who, row })}: ${found}, not ${expected(root, exception, code, who, row)}`,
            );
        }
    }
  expect(pairs).toBeGreaterThan(100_000 / step / 2);
});

/** Parts that are not understood, in place of a criterion of a provision. */
const garbled: readonly object[] = [
  { expression: "true" },
  { modifierExtension: [{ url: "https://other.example", valueBoolean: true }] },
  { type: "allow" },
  { purpose: [{ code: "TREAT" }] },
  { purpose: "TREAT" },
  { actor: [{ reference: { display: "Dr. P" } }] },
  { actor: [] },
  { period: { end: "soon" } },
  { action: [{ text: "read" }] },
  { dataPeriod: {} },
  { securityLabel: [{ system: "https://other.example", code: "PSY" }] },
  { class: [{ system: "urn:ietf:bcp:13", code: "application/pdf" }] },
  { code: [{ text: "glucose" }] },
  { data: [{ meaning: "instance", reference: { display: "that" } }] },
];

test("a part that is not understood never lets a row through, and never lifts a denial", ({ expect }) => {
  const exception = fc.constantFrom(...exceptions.filter((rule) => rule !== undefined));
  const facts = rows.map((row) => rowFactsOf(rowOf(row), base));
  fc.assert(
    fc.property(
      fc.constantFrom(...roots),
      fc.array(exception, { maxLength: 3 }),
      fc.nat(3),
      fc.constantFrom(...garbled),
      fc.constantFrom(...purposes),
      fc.constantFrom(...askers),
      fc.constantFrom(...facts),
      (root, nested, place, garble, code, who, row) => {
        const request = requestOf({ purpose: code, who: [`Practitioner/${who}`] });
        const provision = (change: (rule: object, index: number) => object) =>
          consent(
            change(
              {
                ...documentOf(root, undefined),
                provision: nested.map((rule, index) => change(documentOf(rule, undefined), index + 1)),
              },
              0,
            ),
          );
        const verdictOf = (document: ReturnType<typeof consent>) =>
          judgeConsent(readConsent(document, base), request, row).verdict;
        const before = verdictOf(provision((rule) => rule));
        const after = verdictOf(
          provision((rule, index) => (index === place % (nested.length + 1) ? { ...rule, ...garble } : rule)),
        );
        if (after === "permit") expect(before).toBe("permit");
        if (before === "deny") expect(after).toBe("deny");
      },
    ),
    { numRuns: 500 },
  );
});
