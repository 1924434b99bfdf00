import { r4ResourceTypes } from "#fhir/r4/elements";
import { namesBeyondAccess } from "#policy/compile";
import type { PolicyDocument, PolicyRule } from "#policy/schema";
import { canonical, isSameContent } from "#registry/canonical";

/** A difference of two policies' terms: consent, labels, and each field that `diffPolicies` does not decide by. */
export interface TermsDifference {
  readonly change: "more" | "less";
  /** `undefined`: a difference of the policy as a whole. */
  readonly type: string | undefined;
  readonly interactions: readonly [];
  readonly rows: undefined;
  readonly what: "consent" | "label" | "term";
  readonly name: string;
}

/**
 * How each field is compared. `decisions`: by the engine's decisions (`diffPolicies`). `terms`: below. `words`:
 * it grants nothing. A field of no entry, for example of a later version, differs as a `term` that grants more.
 */
type Compared = "decisions" | "terms" | "words";

const documentFields: Readonly<Record<keyof PolicyDocument, Compared>> = {
  format: "words",
  name: "words",
  title: "words",
  purposes: "decisions",
  users: "decisions",
  operations: "decisions",
  consentRegistrar: "terms",
  amendmentRegistrar: "terms",
  consent: "terms",
  labels: "terms",
  dataPeriod: "decisions",
  form: "terms",
  namesBeyondAccess: "terms",
  rules: "decisions",
};

const ruleFields: Readonly<Record<keyof PolicyRule, Compared>> = {
  types: "decisions",
  interactions: "decisions",
  where: "decisions",
  show: "decisions",
  extensions: "decisions",
  deletes: "terms",
  search: "decisions",
  referredBy: "decisions",
  refersTo: "decisions",
  consent: "terms",
  why: "words",
  examples: "words",
};

const consentFields: readonly string[] = ["base", "api", "combining"];
const labelFields: readonly string[] = [
  "leave",
  "fromCodes",
  "throughReferences",
  "part2",
  "generalConsentOpens",
  "generalConsentExcepts",
];

/** The differences of the terms under which rows leave. */
export function diffTerms(before: PolicyDocument, after: PolicyDocument): readonly TermsDifference[] {
  return [
    ...diffRegistrar(before, after),
    ...diffConsent(before, after),
    ...diffLabels(before.labels, after.labels),
    ...diffNames(before, after),
    ...diffForm(before, after),
    ...unknownOf(before, after, Object.keys(documentFields)),
    ...unknownOf(before.consent, after.consent, consentFields),
    ...unknownOf(before.labels, after.labels, labelFields),
    ...r4ResourceTypes.flatMap((type) => diffOfType(type, before, after)),
  ];
}

const difference =
  (what: TermsDifference["what"], type?: string) =>
  (change: TermsDifference["change"], name: string): TermsDifference => ({
    change,
    type,
    interactions: [],
    what,
    name,
    rows: undefined,
  });
const [consent, label] = [difference("consent"), difference("label")];

function diffRegistrar(before: PolicyDocument, after: PolicyDocument): readonly TermsDifference[] {
  const moved = (name: "consentRegistrar" | "amendmentRegistrar") =>
    before[name] === after[name] ? [] : [after[name] === true ? ("more" as const) : ("less" as const)];
  return [
    ...moved("consentRegistrar").map((change) =>
      consent(change, "that the client writes may permit (registrar)"),
    ),
    ...moved("amendmentRegistrar").map((change) =>
      difference("term")(change, "a Provenance that the client writes records an amendment"),
    ),
  ];
}

function diffNames(before: PolicyDocument, after: PolicyDocument): readonly TermsDifference[] {
  const [was, is] = [before, after].map((one) => one.namesBeyondAccess ?? namesBeyondAccess);
  if (was === undefined || is === undefined || was === is) return [];
  const most = `a write names up to ${Math.max(was, is)} patients beyond its author's access`;
  return [difference("term")(is > was ? "more" : "less", most)];
}

/** Rows without a form leave as they are. Of two forms none is narrower in all: an expert decides, or a law. */
function diffForm({ form: was }: PolicyDocument, { form: is }: PolicyDocument): readonly TermsDifference[] {
  if (isSameContent(was ?? null, is ?? null)) return [];
  const term = difference("term");
  if (was === undefined) return [term("less", `rows leave in the form ${is?.kind ?? ""}`)];
  if (is === undefined) return [term("more", `rows leave as they are, not in the form ${was.kind}`)];
  return [
    term("more", `rows leave in the form ${is.kind} (${is.dataSet})`),
    term("less", `and not in the form ${was.kind} (${was.dataSet})`),
  ];
}

function diffConsent(before: PolicyDocument, after: PolicyDocument): readonly TermsDifference[] {
  const [from, to] = [before.consent?.api, after.consent?.api];
  const api =
    from === to
      ? []
      : [
          consent("less", `for ${from ?? "no API of a payer"}`),
          consent("more", `for ${to ?? "no API of a payer"}`),
        ];
  return [...api, ...diffWeighing(weighingOf(before), weighingOf(after), consent)];
}

/** Who decides without a Consent, and how several Consents agree. */
interface Weighing {
  readonly base: "honoured" | "default" | "required";
  readonly combining: string;
}

const weighingOf = ({ consent: whole }: PolicyDocument, rule?: PolicyRule): Weighing => ({
  base: rule?.consent?.base ?? whole?.base ?? "default",
  combining: rule?.consent?.combining ?? whole?.combining ?? "deny-overrides",
});

// The default depends on the purpose: `honoured` or `required`.
const bases: readonly Weighing["base"][] = ["required", "default", "honoured"];

function diffWeighing(
  before: Weighing,
  after: Weighing,
  as: ReturnType<typeof difference>,
): readonly TermsDifference[] {
  const wider = bases.indexOf(after.base) - bases.indexOf(before.base);
  const base =
    wider === 0
      ? []
      : [
          as(
            wider > 0 ? "more" : "less",
            `base ${wider > 0 ? after.base : before.base}: rows that no Consent permits`,
          ),
        ];
  return before.combining === after.combining
    ? base
    : [...base, as("less", `combining ${before.combining}`), as("more", `combining ${after.combining}`)];
}

function diffLabels(
  before: PolicyDocument["labels"],
  after: PolicyDocument["labels"],
): readonly TermsDifference[] {
  const [was, is] = [leaving(before), leaving(after)];
  const ways = (labels: PolicyDocument["labels"]) => ({
    codes: labels?.fromCodes ?? false,
    references: labels?.throughReferences ?? labels?.fromCodes ?? false,
  });
  const [from, to] = [ways(before), ways(after)];
  const [exceptedFrom, exceptedTo] = [excepted(before), excepted(after)];
  return [
    ...[...is].filter((name) => !was.has(name)).map((name) => label("more", name)),
    ...[...was].filter((name) => !is.has(name)).map((name) => label("less", name)),
    ...[...exceptedFrom].filter((name) => !exceptedTo.has(name)).map((name) => label("more", name)),
    ...[...exceptedTo].filter((name) => !exceptedFrom.has(name)).map((name) => label("less", name)),
    ...(["codes", "references"] as const).flatMap((way) =>
      from[way] === to[way] ? [] : [label(to[way] ? "less" : "more", `not read from ${way}`)],
    ),
  ];
}

/** The labels that leave, each with a purpose; a policy permits the union of its entries. */
function leaving(labels: PolicyDocument["labels"]): ReadonlySet<string> {
  const known = new Set(["labels", "purposes", "why"]);
  const entries = (labels?.leave ?? []).flatMap((entry) => {
    const unknown = Object.entries(entry).filter(([field]) => !known.has(field));
    const more = unknown.length === 0 ? "" : ` with ${canonical(Object.fromEntries(unknown))}`;
    return (entry.purposes ?? ["every purpose"]).flatMap((purpose) =>
      entry.labels.map((each) => `${each} for ${purpose}${more}`),
    );
  });
  const general = (labels?.generalConsentOpens ?? []).map(
    (each) => `${each} by a Consent that names no label`,
  );
  const part2 = labels?.part2 === true ? ["42CFRPart2 where a Consent or leave permits"] : [];
  return new Set([...entries, ...general, ...part2]);
}

const excepted = (labels: PolicyDocument["labels"]): ReadonlySet<string> =>
  new Set(
    (labels?.generalConsentExcepts ?? []).flatMap((entry) =>
      entry.labels.map((each) => `${each} by a Consent that does not name it`),
    ),
  );

/** A differing field that this version does not know: not known to permit less. */
function unknownOf(
  before: object | undefined = {},
  after: object | undefined = {},
  known: readonly string[],
): readonly TermsDifference[] {
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return fields
    .filter((field) => !known.includes(field))
    .filter((field) => !isSameContent(Reflect.get(before, field), Reflect.get(after, field)))
    .map((field) => difference("term")("more", `${field} is not compared`));
}

function diffOfType(type: string, before: PolicyDocument, after: PolicyDocument): readonly TermsDifference[] {
  const rulesOfType = ({ rules }: PolicyDocument) =>
    rules.filter(({ types }) => types.some((each) => each === type));
  const [was, is] = [rulesOfType(before), rulesOfType(after)];
  // The decisions differ: the type comes or goes.
  if (was.length === 0 || is.length === 0) return [];
  const term = difference("term", type);
  const unseen = (rules: readonly PolicyRule[]) => rules.some(({ deletes }) => deletes === "unseen");
  const extra = (rule: PolicyRule) =>
    canonical(Object.entries(rule).filter(([field]) => !Object.hasOwn(ruleFields, field)));
  const inner = ({ consent: own = {} }: PolicyRule) =>
    canonical(Object.entries(own).filter(([field]) => !consentFields.includes(field)));
  const unknown = (rules: readonly PolicyRule[]) =>
    [...new Set(rules.map((rule) => extra(rule) + inner(rule)))].sort();
  return [
    ...(unseen(was) === unseen(is)
      ? []
      : [term(unseen(is) ? "more" : "less", "deletes of elements that the client never saw")]),
    ...(isSameContent(unknown(was), unknown(is)) ? [] : [term("more", "a field of a rule is not compared")]),
    ...diffRuleConsents(type, [before, was], [after, is]),
  ];
}

/**
 * An element with labels of its own needs the leave of each rule, so dropping a rule with a stricter consent may
 * open it: only rules with a single weighing are compared by it.
 */
function diffRuleConsents(
  type: string,
  [before, was]: readonly [PolicyDocument, readonly PolicyRule[]],
  [after, is]: readonly [PolicyDocument, readonly PolicyRule[]],
): readonly TermsDifference[] {
  const consentOfType = difference("consent", type);
  const weighings = (document: PolicyDocument, rules: readonly PolicyRule[]) =>
    new Map(rules.map((rule) => [canonical(weighingOf(document, rule)), weighingOf(document, rule)]));
  const [from, to] = [weighings(before, was), weighings(after, is)];
  const [[first], [second]] = [[...from.values()], [...to.values()]];
  if (first !== undefined && second !== undefined && from.size === 1 && to.size === 1) {
    const asWhole = isSameContent([first, second], [weighingOf(before), weighingOf(after)]);
    return asWhole ? [] : diffWeighing(first, second, consentOfType);
  }
  const texts = (document: PolicyDocument, rules: readonly PolicyRule[]) =>
    rules
      .map((rule) => canonical([weighingOf(document, rule), { ...rule, types: [], why: "", examples: [] }]))
      .sort();
  return isSameContent(texts(before, was), texts(after, is))
    ? []
    : [consentOfType("more", "rules with different terms of consent are not compared")];
}
