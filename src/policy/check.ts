import { isContentType } from "#fhir/route";
import { isCompartmentType, mayBeOwned } from "#fhir/r4/compartment-tables";
import { elementsOf, isPrimitive } from "#fhir/r4/elements";
import { coversPurpose, isPurposeOfUse } from "#fhir/r4/purpose-of-use";
import { searchParametersOf } from "#fhir/search/parameters";
import { compileRule } from "./compile.ts";
import { formProblems } from "#policy/form/form-problems";
import { requiredWith } from "#policy/view/invariants";
import { readPath } from "#policy/view/element-path";
import { mayRepeat, resolvePath } from "#policy/view/resolve";
import { part2Law } from "./labels.ts";
import type { PolicyDocument, PolicyLabels, PolicyProblem, PolicyRule, RowCondition } from "./schema.ts";
import { isSensitivity, psychotherapyNotes } from "./sensitivity/row-labels.ts";
import { searchableBy } from "#policy/search/searchable";
import { isNothing, showsNothing, union, type Shown } from "#policy/view/shown";
import { unsafeWrites } from "./unsafe-writes.ts";
import { compileView } from "#policy/view/view";

/**
 * Checks beyond the schema: paths against R4, invariants that a redaction would break, rules that contradict
 * each other. An empty result: the document can be published.
 */
export function checkPolicy(document: PolicyDocument): readonly PolicyProblem[] {
  const { purposes, operations = [], labels, rules } = document;
  return [
    ...formProblems(document),
    ...problemsIn(purposes, "/purposes", (purpose, index) =>
      isPurposeOfUse(purpose) ? repeated(purposes, index) : "is not a purpose of use of v3-ActReason",
    ),
    ...problemsIn(operations, "/operations", (_, index) => repeated(operations, index)),
    ...labelProblems(labels, purposes),
    ...rules.flatMap((rule, index) => checkRule(rule, `/rules/${index}`)),
    ...rules.flatMap((rule, index) => overlaps(rule, rules.slice(0, index), `/rules/${index}`)),
    ...rules.flatMap((rule, index) => circles(rule, rules, `/rules/${index}`)),
  ];
}

/** A reference that opens its own resource leads to a type that no such reference opens: the hops end there. */
function circles(
  { refersTo = [] }: PolicyRule,
  rules: readonly PolicyRule[],
  at: string,
): readonly PolicyProblem[] {
  const opened = rules.flatMap(({ refersTo: names = [] }) => names.map((name) => name.split(":")[0] ?? ""));
  return problemsIn(refersTo, `${at}/refersTo`, (name) => {
    const [source = "", code = ""] = name.split(":");
    const targets = searchParametersOf(source).get(code)?.targets;
    return targets === undefined || opened.some((type) => targets.has(type))
      ? "leads to any type, or to a type that is opened by refersTo too"
      : undefined;
  });
}

/** The problems of a list's items, each at its place. */
const problemsIn = <T>(
  items: readonly T[],
  at: string,
  problemOf: (item: T, index: number) => string | undefined,
): readonly PolicyProblem[] =>
  items.flatMap((item, index) => {
    const problem = problemOf(item, index);
    return problem === undefined ? [] : [{ pointer: `${at}/${index}`, problem }];
  });

/** Known labels, and no label that a law ties to a Consent that names it. */
function labelProblems(
  { leave = [], part2 = false, generalConsentOpens = [], generalConsentExcepts = [] }: PolicyLabels = {},
  served: PolicyDocument["purposes"],
): readonly PolicyProblem[] {
  const opened = problemsIn(
    generalConsentOpens,
    "/labels/generalConsentOpens",
    (label, index) =>
      namedAlone(label) ?? labelProblem(label, [], part2) ?? repeated(generalConsentOpens, index),
  );
  const excepted = generalConsentExcepts.flatMap(({ labels }, entry) =>
    problemsIn(labels, `/labels/generalConsentExcepts/${entry}/labels`, (label, index) =>
      isSensitivity(label) ? repeated(labels, index) : "is no code of v3-InformationSensitivityPolicy",
    ),
  );
  const idle =
    generalConsentExcepts.length > 0 && generalConsentOpens.length === 0
      ? [
          {
            pointer: "/labels/generalConsentExcepts",
            problem: "excepts from nothing: add generalConsentOpens",
          },
        ]
      : [];
  const leaving = leave.flatMap(({ labels, purposes }, entry) => {
    const at = `/labels/leave/${entry}`;
    return [
      ...problemsIn(purposes ?? [], `${at}/purposes`, (purpose) =>
        served.some((one) => coversPurpose(purpose, one) || coversPurpose(one, purpose))
          ? undefined
          : "the policy does not serve this purpose",
      ),
      ...problemsIn(
        labels,
        `${at}/labels`,
        (label, index) => labelProblem(label, purposes ?? served, part2) ?? repeated(labels, index),
      ),
    ];
  });
  return [...leaving, ...opened, ...excepted, ...idle];
}

/** 45 CFR 164.508(b)(3)(ii), 42 CFR 2.31(a)(3): a general consent describes neither. */
const namedAlone = (label: string): string | undefined =>
  label === psychotherapyNotes || label === part2Law
    ? "opens by a Consent alone that names it (45 CFR 164.508(b)(3)(ii), 42 CFR 2.31(a)(3))"
    : undefined;

function labelProblem(label: string, purposes: readonly string[], part2: boolean): string | undefined {
  if (label === psychotherapyNotes)
    return "psychotherapy notes leave by an authorization alone (45 CFR 164.508(a)(2)), never by a purpose";
  if (label === part2Law) {
    // §2.23: the patient; §2.51: a medical emergency
    const isFree = (purpose: string) => purpose === "PATRQT" || coversPurpose("ETREAT", purpose);
    if (!purposes.every(isFree))
      return "records of 42 CFR Part 2 leave without a Consent only to the patient (PATRQT) and in an emergency (ETREAT)";
    return part2 ? undefined : "needs `part2: true`, by which the answers carry the notice of 42 CFR 2.32";
  }
  return ["R", "V"].includes(label) || isSensitivity(label)
    ? undefined
    : "is neither R, V, nor a code of v3-InformationSensitivityPolicy, nor 42CFRPart2";
}

const repeated = (list: readonly string[], index: number) =>
  list.indexOf(list[index] ?? "") < index ? "is there twice" : undefined;

function checkRule(rule: PolicyRule, at: string): readonly PolicyProblem[] {
  const paths = rule.show === "everything" ? [] : rule.show;
  const unknown = rule.types.flatMap((type) => [
    ...problemsIn(paths, `${at}/show`, (path) => {
      const resolved = resolvePath(type, readPath(path));
      return resolved.ok ? undefined : resolved.error;
    }),
    ...problemsIn(rule.where ?? [], `${at}/where`, (condition) => conditionProblem(type, condition)),
  ]);
  const twice = problemsIn(rule.types, `${at}/types`, (_, index) => repeated(rule.types, index));
  // The checks below walk the R4 tables with these paths.
  if (unknown.length > 0 || twice.length > 0) return [...twice, ...unknown];
  const { shown } = compileRule(rule);
  const broken = rule.types.flatMap((type) => brokenInvariants(type, shown));
  return [
    ...broken.map((problem) => ({ pointer: `${at}/show`, problem })),
    ...searchProblems(rule, at),
    ...referredByProblems(rule, at),
    ...writeProblems(rule, at),
  ];
}

/** A client must not overwrite or delete an element that it may not see, nor find it out by writing. */
function writeProblems(rule: PolicyRule, at: string): readonly PolicyProblem[] {
  const { interactions, deletes } = rule;
  const problems = unsafeWrites(rule).map(({ interaction, problem }) => ({
    pointer: `${at}/interactions/${interactions.indexOf(interaction)}`,
    problem,
  }));
  if (deletes === undefined || interactions.includes("delete")) return problems;
  const idle = "the rule does not grant delete: add it to interactions, or remove deletes";
  return [...problems, { pointer: `${at}/deletes`, problem: idle }];
}

function conditionProblem(type: string, condition: RowCondition): string | undefined {
  const steps = readPath(condition.path);
  if (steps.some(({ name, slice }) => slice !== undefined || name.endsWith("[x]")))
    return "use a path without slices, with one form of each choice";
  const resolved = resolvePath(type, steps);
  if (!resolved.ok) return resolved.error;
  const codes = "in" in condition ? condition.in : condition.notIn;
  if (resolved.value === "CodeableConcept" || resolved.value === "Coding") {
    return codes.every((code) => code.includes("|"))
      ? undefined
      : "write each code with its system: `system|code`";
  }
  if (!isPrimitive(resolved.value))
    return `${resolved.value} is not coded: a condition needs a coded element`;
  return codes.some((code) => code.includes("|"))
    ? "this element is a plain code: leave out the system"
    : undefined;
}

/** Elements that are shown without an element that R4 demands with them, at any depth. */
function brokenInvariants(type: string, shown: Shown): readonly string[] {
  if (shown.everything || isNothing(shown)) return [];
  const has = (name: string) =>
    shown.elements.has(name) ||
    elementsOf(type)
      .get(name)
      ?.forms.some((form) => shown.elements.has(form.name));
  const rules = Object.hasOwn(requiredWith, type) ? (requiredWith[type] ?? []) : [];
  const here = rules
    .filter(
      ({ shows, needs }) =>
        (shows === "*" || has(shows)) && !has(needs) && elementsOf(type).get(needs)?.isModifier !== true,
    )
    .map(
      ({ shows, needs, key }) => `${type}.${shows} is shown without ${needs} (${key}): show ${needs} as well`,
    );
  const below = [...elementsOf(type).values()].flatMap(({ name, forms }) =>
    forms.flatMap((form) => {
      const child = union([
        shown.elements.get(name) ?? showsNothing,
        shown.elements.get(form.name) ?? showsNothing,
      ]);
      if (isPrimitive(form.type)) return [];
      const base: Shown = { ...child, slices: [] };
      const items = child.slices.map((slice) => union([base, slice.shown]));
      return [base, ...items].flatMap((item) => brokenInvariants(form.type, item));
    }),
  );
  return [...here, ...new Set(below)];
}

function searchProblems(
  { types, search, show, extensions, interactions }: PolicyRule,
  at: string,
): readonly PolicyProblem[] {
  if (search === undefined) return [];
  if (!interactions.includes("search")) {
    const problem = "the rule does not grant search: add it to interactions, or remove search";
    return [{ pointer: `${at}/search`, problem }];
  }
  const { shown } = compileRule({
    types,
    show,
    interactions,
    why: "",
    examples: [],
    ...(extensions && { extensions }),
  });
  return problemsIn(search, `${at}/search`, (code) => {
    const isPossible = types.some((type) => {
      const definition = searchParametersOf(type).get(code);
      const view = compileView(type, shown, { all: false, urls: new Set() });
      return definition !== undefined && searchableBy(view, definition).kind !== "hidden";
    });
    return isPossible ? undefined : "is not a search parameter of R4 whose elements this view shows";
  });
}

function referredByProblems(
  { types, referredBy = [], refersTo = [], interactions }: PolicyRule,
  at: string,
): readonly PolicyProblem[] {
  const unread = "the rule does not grant read: add it to interactions, or remove referredBy";
  const owned = types.some(isCompartmentType) ? "is only for types that no patient owns" : undefined;
  const backwards = problemsIn(refersTo, `${at}/refersTo`, (name) => {
    const [source = "", code = ""] = name.split(":");
    const { type, paths } = searchParametersOf(source).get(code) ?? {};
    if (!interactions.includes("read")) return unread;
    return type === "reference" && paths !== undefined && types.some((one) => one === source)
      ? owned
      : "is not a reference parameter of R4 of a type of this rule";
  });
  const forwards = problemsIn(referredBy, `${at}/referredBy`, (name) => {
    if (!interactions.includes("read")) return unread;
    if (name === "*")
      return types.some((type) => isContentType(type) || mayBeOwned(type))
        ? "is not for a type whose rows may be a patient's"
        : owned;
    const [source = "", code = ""] = name.split(":");
    const definition = searchParametersOf(source).get(code);
    const isLocation = name === "DocumentReference:location";
    if (isLocation) return types.every((type) => type === "Binary") ? undefined : "opens Binaries alone";
    const isReference = definition?.type === "reference" && definition.paths !== undefined;
    if (!isReference || !types.some((type) => definition.targets?.has(type) !== false))
      return "is not a reference parameter of R4 that leads to a type of this rule";
    return owned;
  });
  return [...forwards, ...backwards];
}

/**
 * Two rules for the same type must cover different rows by a single-valued element, or by a repeating
 * element, and then a row that both cover has two grants. Otherwise a row would have two meanings
 * (medplum#3332: hidden fields applied to the wrong rows).
 */
function overlaps(rule: PolicyRule, before: readonly PolicyRule[], at: string): readonly PolicyProblem[] {
  return before.flatMap((other, index) =>
    rule.types
      .filter(
        (type) =>
          other.types.includes(type) &&
          rule.interactions.some((interaction) => other.interactions.includes(interaction)),
      )
      .flatMap((type) => {
        const overlap = `overlaps /rules/${index} for ${type}: a row could match both; give the two rules different codes in where`;
        const oneOpens = `must open ${type} as /rules/${index} does: "*" in the referredBy of both, or of neither`;
        return [
          ...(disjoint(type, rule, other) || repeating(type, rule, other) ? [] : [overlap]),
          ...(opensAll(rule) === opensAll(other) ? [] : [oneOpens]),
        ].map((problem) => ({ pointer: at, problem }));
      }),
  );
}

const opensAll = ({ referredBy }: PolicyRule): boolean => referredBy?.includes("*") === true;

function disjoint(type: string, a: PolicyRule, b: PolicyRule): boolean {
  return shared(a, b).some(
    ([left, right]) =>
      !mayRepeat(type, readPath(left.path)) && !left.codes.some((code) => right.codes.includes(code)),
  );
}

function repeating(type: string, a: PolicyRule, b: PolicyRule): boolean {
  return shared(a, b).some(([left]) => mayRepeat(type, readPath(left.path)));
}

interface InCondition {
  readonly path: string;
  readonly codes: readonly string[];
}

/** The elements by which both rules select their rows. */
function shared(a: PolicyRule, b: PolicyRule): readonly (readonly [InCondition, InCondition])[] {
  return chosen(a).flatMap((left) =>
    chosen(b).flatMap((right) => (left.path === right.path ? [[left, right] as const] : [])),
  );
}

const chosen = ({ where = [] }: PolicyRule): readonly InCondition[] =>
  where.flatMap((condition) => ("in" in condition ? [{ path: condition.path, codes: condition.in }] : []));
