import * as fc from "fast-check";
import { test } from "vitest";
import { judgeConsent } from "#policy/consent/judge-consent";
import { readConsent } from "#policy/consent/read-consent";
import { rowFactsOf } from "#policy/consent/row-facts";
import { inLane } from "../../support/lane.ts";
import { base, consent, level, observation, purpose, recipient, requestOf, sensitivity } from "./scene.ts";

/*
 * A wide grammar: roots without a type, exceptions in three levels, several items of an element, and parts that are
 * not understood. The twin tries each meaning of the parts that are not understood, one by one.
 */

type Sense = boolean | undefined; // undefined: not understood
interface Ask {
  readonly purpose: string;
  readonly who: string;
  readonly action: "read" | "write";
}
interface Row {
  readonly id: string;
  readonly type: "Observation" | "Condition";
  readonly year?: string;
  readonly author: string;
  readonly level: "N" | "R" | "V";
  readonly kinds: readonly string[];
  readonly code: string;
}
interface Criterion {
  readonly json: object;
  readonly about: "period" | "frame" | "data";
  readonly sense: (ask: Ask, row: Row, effect: "permit" | "deny" | undefined) => Sense;
}
interface Rule {
  readonly type: "permit" | "deny" | "allow" | undefined;
  readonly criteria: readonly Criterion[];
  readonly isStrange: boolean;
  readonly nested: readonly Rule[];
}

const above: Readonly<Record<string, readonly string[]>> = {
  TREAT: ["TREAT"],
  BTG: ["BTG", "ETREAT", "TREAT"],
  HPAYMT: ["HPAYMT"],
};
const system = "urn:wide";
const some = (senses: readonly Sense[]): Sense =>
  senses.includes(true) ? true : senses.includes(undefined) ? undefined : false;
const several = <T>(items: readonly T[]) =>
  fc.uniqueArray(fc.constantFrom(...items), { minLength: 1, maxLength: 2 });

const purposes = several(["TREAT", "ETREAT", "BTG", "HPAYMT", "strange", "alias", "foreign"]).map(
  (codes): Criterion => ({
    json: {
      purpose: codes.map((code) =>
        code === "strange"
          ? { code: "TREAT" }
          : code === "alias"
            ? { system: "http://hl7.org/fhir/v3/ActReason", code: "TREAT" }
            : code === "foreign"
              ? { system, code: "AUDIT" }
              : purpose(code),
      ),
    },
    about: "frame",
    // no request has a project's own purpose
    sense: (ask) =>
      some(
        codes.map((code) =>
          code === "strange" || code === "alias" ? undefined : above[ask.purpose]?.includes(code) === true,
        ),
      ),
  }),
);
const actors = several(["p", "q", "team", "strange"]).map((names): Criterion => ({
  json: {
    actor: names.map((name) =>
      recipient(
        name === "strange"
          ? { display: "Dr. P" }
          : { reference: name === "team" ? "CareTeam/t" : `Practitioner/${name}` },
      ),
    ),
  },
  about: "frame",
  sense: ({ who }) =>
    some(names.map((name) => (name === "strange" || name === "team" ? undefined : name === who))),
}));
const actions = several(["access", "correct", "use", "strange"]).map((codes): Criterion => ({
  json: {
    action: codes.map((code) => ({
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/consentaction", code }],
    })),
  },
  about: "frame",
  sense: ({ action }) =>
    some(
      codes.map((code) =>
        code === "strange" ? undefined : (code === "correct" ? "write" : "read") === action,
      ),
    ),
}));
const periods = fc
  .constantFrom<readonly [object, Sense]>(
    [{ end: "2020" }, false],
    [{ start: "2020" }, true],
    [{ start: "2030-01-01T00:00:00Z" }, false],
    [{ end: "soon" }, undefined],
    [{ start: "2020", _end: { extension: [] } }, undefined],
    [{ start: "2030", end: "2020" }, undefined],
  )
  .map(([period, is]): Criterion => ({ json: { period }, about: "period", sense: () => is }));
const years = fc.constantFrom("2021", "2022", "strange").map((year): Criterion => ({
  json: { dataPeriod: year === "strange" ? {} : { start: year, end: year } },
  about: "data",
  sense: (_ask, row) => (year === "strange" || row.year === undefined ? undefined : row.year === year),
}));
const order = "NRV";
const labels = fc.constantFrom("N", "R", "PSY", "HIV").map((label): Criterion => {
  const isLevel = order.includes(label);
  return {
    json: { securityLabel: [isLevel ? level(label) : sensitivity(label)] },
    about: "data",
    sense: (_ask, row, effect) => {
      const found = row.level === "V" ? "V" : row.kinds.length > 0 ? "R" : row.level;
      const [limit, own] = [order.indexOf(label), order.indexOf(found)];
      const permits = isLevel
        ? own <= limit
        : row.kinds.length > 0 && row.level !== "V" && row.kinds.every((kind) => kind === label);
      const denies = isLevel ? own >= limit : row.kinds.includes(label);
      if (effect === "permit") return permits;
      return effect === "deny" || permits === denies ? denies : undefined;
    },
  };
});
const classes = several(["Observation", "Condition", "strange"]).map((types): Criterion => ({
  json: {
    class: types.map((code) =>
      code === "strange"
        ? { system: "urn:ietf:bcp:13", code: "application/pdf" }
        : { system: "http://hl7.org/fhir/resource-types", code },
    ),
  },
  about: "data",
  sense: (_ask, row) => some(types.map((type) => (type === "strange" ? undefined : type === row.type))),
}));
const codes = several(["x", "y", "strange"]).map((names): Criterion => ({
  json: {
    code: names.map((code) => (code === "strange" ? { text: "that" } : { coding: [{ system, code }] })),
  },
  about: "data",
  sense: (_ask, row) => some(names.map((code) => (code === "strange" ? undefined : code === row.code))),
}));
const data = several(["a", "b", "author", "strange"]).map((items): Criterion => ({
  json: {
    data: items.map((item) =>
      item === "strange"
        ? { meaning: "instance", reference: { display: "that" } }
        : item === "author"
          ? { meaning: "authoredby", reference: { reference: "Practitioner/author" } }
          : { meaning: "instance", reference: { reference: `Observation/${item}` } },
    ),
  },
  about: "data",
  sense: (_ask, row) =>
    some(
      items.map((item) =>
        item === "strange"
          ? undefined
          : item === "author"
            ? row.author === "author"
            : row.type === "Observation" && row.id === item,
      ),
    ),
}));
const kinds = [purposes, actors, actions, periods, years, labels, classes, codes, data] as const;
const criteria = fc
  .uniqueArray(fc.nat(kinds.length - 1), { maxLength: 3 })
  .chain((places) => fc.tuple(...places.map((place) => kinds[place] ?? purposes)));
const rarely = fc.integer({ min: 0, max: 9 }).map((n) => n === 0);
const typed = fc.constantFrom(
  "permit" as const,
  "permit" as const,
  "deny" as const,
  "deny" as const,
  "allow" as const,
);
const ruleOf = (depth: number): fc.Arbitrary<Rule> =>
  fc.record({
    type: typed,
    criteria,
    isStrange: rarely,
    nested: depth === 0 ? fc.constant([]) : fc.array(ruleOf(depth - 1), { maxLength: 2 }),
  });
const roots = fc.record({
  root: ruleOf(3),
  isTyped: fc.boolean(),
  rule: fc.constantFrom("OPTIN", "OPTOUT", "OTHER", undefined),
});

const jsonOf = ({ type, criteria: list, isStrange, nested }: Rule): object => ({
  ...(type !== undefined && { type }),
  ...Object.assign({}, ...list.map(({ json }) => json)),
  ...(isStrange && { expression: "true" }),
  ...(nested.length > 0 && { provision: nested.map(jsonOf) }),
});
const rowJson = (row: Row) =>
  observation({
    resourceType: row.type,
    id: row.id,
    code: { coding: [{ system, code: row.code }] },
    effectiveDateTime: undefined,
    ...(row.type === "Observation"
      ? { effectiveDateTime: row.year, performer: [{ reference: `Practitioner/${row.author}` }] }
      : {
          performer: undefined,
          recordedDate: row.year,
          asserter: { reference: `Practitioner/${row.author}` },
        }),
    meta: { security: [level(row.level), ...row.kinds.map(sensitivity)] },
  });

type Effect = "permit" | "deny" | "silent";

/** The effect under one meaning of each part that is not understood. `guess` names such a part. */
function effectIn(
  { root, rule }: { readonly root: Rule; readonly rule: string | undefined },
  isTyped: boolean,
  ask: Ask,
  row: Row,
  guess: (name: string) => boolean,
): Effect {
  const is = (sense: Sense, name: string) => sense ?? guess(name);
  const typeOf = (type: Rule["type"], name: string): "permit" | "deny" =>
    type === "permit" || type === "deny" ? type : guess(name) ? "permit" : "deny";
  const all = (of: Rule, about: Criterion["about"], effect: "permit" | "deny" | undefined, name: string) =>
    of.criteria.every(
      (each, n) => each.about !== about || is(each.sense(ask, row, effect), `${name} ${about} ${n}`),
    );
  const stated = (type: Rule["type"]) => (type === "permit" || type === "deny" ? type : undefined);
  const exceptions = (of: Rule, name: string): Effect => {
    const found = of.nested.map((nested, n) => nestedEffect(nested, `${name}.${n}`));
    return found.includes("deny") ? "deny" : found.includes("permit") ? "permit" : "silent";
  };
  const nestedEffect = (of: Rule, name: string): Effect => {
    const effect = stated(of.type);
    const applies =
      all(of, "period", effect, name) &&
      all(of, "frame", effect, name) &&
      all(of, "data", effect, name) &&
      (!of.isStrange || guess(`${name} strange`));
    if (!applies) return "silent";
    const inner = exceptions(of, name);
    return inner === "silent" ? typeOf(of.type, `${name} type`) : inner;
  };

  const ruled = rule === "OPTIN" ? "permit" : rule === "OPTOUT" ? "deny" : undefined;
  const isRestricting = root.criteria.length > 0 || root.isStrange;
  const isAmbiguous = !isTyped && ruled !== undefined && root.nested.length === 0 && isRestricting;
  const isException = isAmbiguous && guess("the root is an exception");
  const effect = isTyped ? stated(root.type) : isException ? (ruled === "permit" ? "deny" : "permit") : ruled;
  const outside: Effect = isException
    ? (ruled ?? "silent")
    : !isTyped && ruled === "deny"
      ? "deny"
      : "silent";
  if (!all(root, "period", effect, "root")) return "silent";
  if (!all(root, "frame", effect, "root") || (root.isStrange && !guess("root strange"))) return outside;
  const inner = exceptions(root, "root");
  if (inner !== "silent") return inner;
  const own = effect ?? (guess("root type") ? "permit" : "deny");
  if (all(root, "data", effect, "root")) return own;
  return isException ? outside : own === "permit" ? "deny" : "silent";
}

const guessesMax = 8;

/** The verdict over all meanings; undefined: too many parts are not understood to try them all. */
function expected(...scene: Parameters<typeof effectIn> extends [...infer Rest, unknown] ? Rest : never) {
  const names = new Set<string>();
  const effects = new Set<Effect>();
  for (let turn = 0; turn < 2 ** names.size || turn === 0; turn++) {
    const guess = (name: string): boolean => {
      names.add(name);
      return ((turn >> [...names].indexOf(name)) & 1) === 1;
    };
    effects.add(effectIn(...scene, guess));
    if (names.size > guessesMax) return undefined;
  }
  const verdict = effects.has("deny") ? "deny" : effects.size === 1 ? [...effects][0] : "silent";
  return { verdict, guesses: names.size };
}

const asks = fc.record({
  purpose: fc.constantFrom("TREAT", "BTG", "HPAYMT"),
  who: fc.constantFrom("p", "q"),
  action: fc.constantFrom("read" as const, "read" as const, "write" as const),
});
const rows = fc.record(
  {
    id: fc.constantFrom("a", "b"),
    type: fc.constantFrom("Observation" as const, "Condition" as const),
    year: fc.constantFrom("2021", "2022"),
    author: fc.constantFrom("author", "other"),
    level: fc.constantFrom("N" as const, "R" as const, "V" as const),
    kinds: fc.subarray(["PSY", "HIV"]),
    code: fc.constantFrom("x", "y"),
  },
  { requiredKeys: ["id", "type", "author", "level", "kinds", "code"] },
);

test("a wide Consent permits and denies what a twin finds that tries each meaning of each part", ({
  expect,
}) => {
  let compared = 0;
  fc.assert(
    fc.property(roots, asks, rows, ({ root, isTyped, rule }, ask, row) => {
      const typedRoot = { ...root, type: isTyped ? root.type : undefined };
      const wanted = expected({ root: typedRoot, rule }, isTyped, ask, row);
      if (wanted === undefined) return;
      compared++;
      const policyRule = rule === undefined ? {} : { policyRule: { coding: [sensitivity(rule)] } };
      const document = consent(jsonOf(typedRoot), policyRule);
      const request = requestOf({
        purpose: ask.purpose,
        who: [`Practitioner/${ask.who}`],
        complete: [],
        action: ask.action,
      });
      const found = judgeConsent(
        readConsent(document, base),
        request,
        rowFactsOf(rowJson(row), base),
      ).verdict;
      // a part that is not understood may count as two parts here: then the engine is the stricter
      if (found !== wanted.verdict) {
        expect([found, wanted.verdict], JSON.stringify({ document, ask, row })).not.toContain("permit");
        expect(found, JSON.stringify({ document, ask, row, wanted })).toBe("deny");
        expect(wanted.guesses).toBeGreaterThan(1);
      }
    }),
    { numRuns: inLane({ fast: 1_500, slow: 20_000, long: 200_000 }) },
  );
  expect(compared).toBeGreaterThan(240);
});
