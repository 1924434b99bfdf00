import * as z from "zod/mini";
import { canonicalJson } from "#kernel/canonical-json";
import { unclear, type ConsentRules, type Provision } from "./consent.ts";

/*
 * The stored form of a Consent's compiled rules: canonical JSON with a version. A form of a later version, or a
 * damaged form, is read as a Consent that is not understood, so that it denies.
 */

const version = 1;

const instantAt = z.nullable(z.number()); // null: the Period has no such bound
const bounds = z.pipe(
  z.array(instantAt).check(z.length(2)),
  z.transform(([from, until]) => [from ?? -Infinity, until ?? Infinity] as const),
);
const span = z.strictObject({ utc: bounds, local: bounds, isZoned: z.boolean() });
const effect = z.enum(["permit", "deny"]);
const party = z.union([
  z.strictObject({ reference: z.string(), identifier: z.exactOptional(z.string()) }),
  z.strictObject({ identifier: z.string() }),
]);
const list = <T extends z.ZodMiniType>(item: T) => z.exactOptional(z.array(z.nullable(item)));

const frame = z.strictObject({
  period: z.exactOptional(z.nullable(span)),
  purposes: list(z.string()),
  actions: list(z.enum(["read", "write", "none"])),
  recipients: list(party),
  holders: list(party),
  hasOtherActors: z.exactOptional(z.literal(true)),
});
const limits = z.strictObject({
  dataPeriod: z.exactOptional(z.nullable(span)),
  labels: list(
    z.union([
      z.strictObject({ level: z.number() }),
      z.strictObject({ sensitivity: z.string() }),
      z.strictObject({ label: z.string() }),
    ]),
  ),
  types: list(z.union([z.strictObject({ type: z.string() }), z.strictObject({ profile: z.string() })])),
  codes: list(z.string()),
  data: list(
    z.strictObject({
      meaning: z.enum(["instance", "related", "dependents", "authoredby"]),
      reference: z.string(),
    }),
  ),
});
const provision: z.ZodMiniType<Provision> = z.strictObject({
  path: z.string(),
  effect: z.nullable(effect),
  specificity: z.number(),
  isUnclear: z.boolean(),
  frame: frame,
  limits: limits,
  get exceptions() {
    return z.array(provision);
  },
});
const storedRules = z.strictObject({
  isActive: z.boolean(),
  unclear: z.exactOptional(z.string()),
  api: z.exactOptional(z.enum(["payer-to-payer", "provider-access", "both"])),
  given: z.exactOptional(span),
  standsForUnread: z.exactOptional(z.literal(true)),
  readings: z.array(
    z.strictObject({
      root: provision,
      outside: z.enum(["permit", "deny", "silent"]),
      world: z.enum(["closed", "open"]),
    }),
  ),
});
const storedForm = z.strictObject({ v: z.literal(version), rules: storedRules });

/** The canonical text of the rules (RFC 8785; an infinite bound is null). Its SHA-256 names the Consent. */
export const storedFormOf = (rules: ConsentRules): string => canonicalJson({ rules, v: version });

/** The rules of a stored form; for a text that is not a form of this version, rules that deny every request. */
export function readStoredForm(text: string): ConsentRules {
  const read = storedForm.safeParse(parsed(text));
  return read.success ? read.data.rules : { isActive: true, unclear: "stored form", readings: [] };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return unclear;
  }
}
