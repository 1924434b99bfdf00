import { canonicalJson } from "#kernel/canonical-json";
import {
  arrayOf,
  eitherOf,
  fitting,
  booleanValue,
  literalOf,
  mapped,
  type Misfit,
  numberIn,
  optional,
  strictObjectOf,
  textOf,
  type ValueShape,
} from "#kernel/value-shape";
import { unclear, type ConsentRules, type Provision } from "./consent.ts";

/*
 * The stored form of a Consent's compiled rules: canonical JSON with a version. A form of a later version, or a
 * damaged form, is read as a Consent that is not understood, so that it denies.
 */

const version = 1;

const orNull = <T>(shape: ValueShape<T>) => eitherOf(literalOf([null]), shape);
// null: the Period has no such bound
const bounds = mapped(
  arrayOf(orNull(numberIn()), 2, 2),
  ([from, until]) => [from ?? -Infinity, until ?? Infinity] as const,
);
const span = strictObjectOf({ utc: bounds, local: bounds, isZoned: booleanValue });
const effect = literalOf(["permit", "deny"]);
const list = <T>(item: ValueShape<T>) => optional(arrayOf(orNull(item)));
const names = { reference: optional(textOf()), identifiers: optional(arrayOf(textOf())) };
const party = eitherOf(
  strictObjectOf({
    reference: textOf(),
    identifier: optional(textOf()),
    meant: list(strictObjectOf({ ...names, all: list(strictObjectOf(names)) })),
  }),
  strictObjectOf({ identifier: textOf() }),
);

const frame = strictObjectOf({
  period: optional(orNull(span)),
  purposes: list(textOf()),
  actions: list(literalOf(["read", "write", "none"])),
  recipients: list(party),
  holders: list(party),
  hasOtherActors: optional(literalOf([true])),
});
const limits = strictObjectOf({
  dataPeriod: optional(orNull(span)),
  labels: list(
    eitherOf(
      strictObjectOf({ level: numberIn() }),
      strictObjectOf({ sensitivity: textOf() }),
      strictObjectOf({ label: textOf() }),
    ),
  ),
  types: list(eitherOf(strictObjectOf({ type: textOf() }), strictObjectOf({ profile: textOf() }))),
  codes: list(textOf()),
  data: list(
    strictObjectOf({
      meaning: literalOf(["instance", "related", "dependents", "authoredby"]),
      reference: textOf(),
    }),
  ),
});
const provision: ValueShape<Provision> = strictObjectOf({
  path: textOf(),
  effect: orNull(effect),
  specificity: numberIn(),
  isUnclear: booleanValue,
  frame: frame,
  limits: limits,
  exceptions: arrayOf((nested): Provision | Misfit => provision(nested)),
});
const statement = strictObjectOf({
  kind: literalOf(["disagreement", "request-and-denial"]),
  rows: arrayOf(textOf()),
  elements: optional(arrayOf(textOf())),
  summary: optional(textOf()),
  messages: arrayOf(strictObjectOf({ role: textOf(), reference: textOf() })),
});
const storedRules = strictObjectOf({
  isActive: booleanValue,
  unclear: optional(textOf()),
  api: optional(literalOf(["payer-to-payer", "provider-access", "both"])),
  given: optional(span),
  standsForUnread: optional(literalOf([true])),
  statement: optional(statement),
  readings: arrayOf(
    strictObjectOf({
      root: provision,
      outside: literalOf(["permit", "deny", "silent"]),
      world: literalOf(["closed", "open"]),
    }),
  ),
});
const storedForm = strictObjectOf({ v: literalOf([version]), rules: storedRules });

/** The canonical text of the rules (RFC 8785; an infinite bound is null). Its SHA-256 names the Consent. */
export const storedFormOf = (rules: ConsentRules): string => canonicalJson({ rules, v: version });

/** Characters of a stored form: some 1,500 codes. Every version is stored, and each change is sent to isolates. */
export const formMax = 65_536;

/** The form without the names behind its actors: they change while the Consent does not. */
export const formWithoutNames = (form: string): string =>
  JSON.stringify(JSON.parse(form, (name, value: unknown) => (name === "meant" ? undefined : value)));

/** The rules of a stored form; for a text that is not a form of this version, rules that deny every request. */
export function readStoredForm(text: string): ConsentRules {
  return fitting(storedForm(parsed(text)))?.rules ?? { isActive: true, unclear: "stored form", readings: [] };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return unclear;
  }
}
