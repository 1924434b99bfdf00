import * as z from "zod/mini";
import { instant, type Instant } from "#kernel/clock";
import { sha256Form } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { purposePattern } from "./purpose.ts";

const text = z.string().check(z.minLength(1), z.maxLength(512));
const client = z.string().check(z.regex(/^[A-Za-z0-9._-]{1,64}$/u));
const sha256 = z.string().check(z.regex(sha256Form));
const time = z.pipe(
  z.int().check(z.minimum(0), z.maximum(253_402_300_799_999)),
  z.transform((milliseconds): Instant => instant(milliseconds)),
);

/**
 * Milliseconds by which a denial of the built-in issuer's own token outlasts the act at most: such a token
 * lives five minutes, and the clocks of the workers differ by a little.
 */
export const ownTokenMillisecondsMax = 600_000;

/** An operator's request to deny something, or to lift the denial. */
export const denialDocument = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("token"), issuer: text, id: text, until: time }),
  z.strictObject({ kind: z.literal("key"), issuer: text, keyId: text }),
  z.strictObject({ kind: z.literal("certificate"), x5t: sha256 }),
  z.strictObject({ kind: z.literal("proof_key"), jkt: sha256 }),
  z.strictObject({ kind: z.literal("client"), client }),
  z.strictObject({ kind: z.literal("agreement"), client, agreement: text }),
  z.strictObject({
    kind: z.literal("grant"),
    client,
    origin: text,
    purpose: z.string().check(z.regex(purposePattern)),
  }),
  z.strictObject({ kind: z.literal("policy"), digest: z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/u)) }),
  z.strictObject({
    kind: z.literal("authority"),
    client,
    authority: z.string().check(z.regex(/^[0-9a-f]{32}$/u)),
  }),
  z.strictObject({ kind: z.literal("person"), issuer: text, subject: text }),
]);

/**
 * A thing that is refused from now on, whatever the registry has. A token is denied by its issuer and
 * `jti`, until its `exp`. A key is denied by its issuer and `kid` (for a client's own keys the client's id
 * stands in for the issuer). A person is denied by the issuer and the `sub` of its tokens. All denials but a token's
 * and an authority's last until lifted.
 */
export type Denial = z.output<typeof denialDocument>;

export interface DenialProblem {
  /** `denial_unregistered`: the field is well formed and names no entry of the registry. */
  readonly reason: "denial_malformed" | "denial_unregistered";
  /** The name of the field, never its value. */
  readonly field: string;
}

/** Reads an operator's request to deny or to lift. */
export function readDenial(value: unknown): Result<Denial, DenialProblem> {
  const read = denialDocument.safeParse(value);
  return read.success
    ? ok(read.data)
    : err({ reason: "denial_malformed", field: read.error.issues[0]?.path.join("/") ?? "" });
}

const denialsMax = 100;

/** A request to deny: one denial, or a list. */
export const denialDocuments = z.union([
  denialDocument,
  z.array(denialDocument).check(z.minLength(1), z.maxLength(denialsMax)),
]);

/** Reads one denial, or a list of which each is well formed. The field of a problem in a list begins with its place. */
export function readDenials(value: unknown): Result<readonly Denial[], DenialProblem> {
  if (!Array.isArray(value)) {
    const read = readDenial(value);
    return read.ok ? ok([read.value]) : read;
  }
  if (value.length === 0 || value.length > denialsMax) return err({ reason: "denial_malformed", field: "" });
  const denials: Denial[] = [];
  for (const [index, each] of value.entries()) {
    const read = readDenial(each);
    if (!read.ok) return err(inList(index, read.error));
    denials.push(read.value);
  }
  return ok(denials);
}

/** A problem of the denial at a place of a list. */
export const inList = (index: number, { reason, field }: DenialProblem): DenialProblem => ({
  reason,
  field: field === "" ? String(index) : `${index}/${field}`,
});

/**
 * The listeners of a denial: the guards of a single client, the guards of an issuer's clients, or all
 * guards.
 */
export function denialScope(denial: Denial): {
  readonly client: string | null;
  readonly issuer: string | null;
} {
  switch (denial.kind) {
    case "client":
    case "agreement":
    case "grant":
    case "authority":
      return { client: denial.client, issuer: null };
    case "token":
    case "key":
    case "person":
      return { client: null, issuer: denial.issuer };
    case "certificate":
    case "proof_key":
    case "policy":
      return { client: null, issuer: null };
  }
}
