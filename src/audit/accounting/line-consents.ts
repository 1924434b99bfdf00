import { fromCbor, toCbor } from "#ledger/bytes/cbor";

/** A Consent that let something of a patient through, in a disclosure. No record and no proof has it. */
export interface PermittingConsent {
  /** The pseudonym of the Consent, as `phylax consent list` prints it. */
  readonly consent: string;
  /** SHA-256 of the Consent's compiled form, 64 lower-case hex digits. */
  readonly digest: string;
  /** Consent.dateTime as FHIR writes it, in UTC. */
  readonly given?: string | undefined;
  /** ms since 1970. */
  readonly filedAt: number;
  /** The purposes of the root provision, codes of v3-ActReason; none: each purpose. */
  readonly purposes: readonly string[];
}

/** A {@link PermittingConsent} on the way to the accounting lines of its patient. */
export interface PatientsConsent extends PermittingConsent {
  /** `<origin>/Patient/<id>`. */
  readonly patient: string;
}

/** A line names no more: each costs the shelf about 150 bytes. */
export const lineConsentsMax = 8;

/** The Consents beside a line: CBOR [[consent, digest, given or null, filed at, [purpose, …]], …]. */
export function writeLineConsents(consents: readonly PermittingConsent[]): Uint8Array {
  const named = consents.slice(0, lineConsentsMax);
  return toCbor(
    named.map(({ consent, digest, given, filedAt, purposes }) => [
      consent,
      digest,
      given ?? null,
      filedAt,
      purposes,
    ]),
  );
}

/** Throws for bytes that {@link writeLineConsents} did not write: the shelf's seal proves that it did. */
export function readLineConsents(bytes: Uint8Array): readonly PermittingConsent[] {
  const value = fromCbor(bytes);
  if (!Array.isArray(value)) throw notConsents();
  return value.map((item: unknown) => {
    const [consent, digest, given, filedAt, purposes] = Array.isArray(item) ? (item as unknown[]) : [];
    const isRead = typeof consent === "string" && typeof digest === "string" && typeof filedAt === "number";
    if (!isRead || (given !== null && typeof given !== "string") || !isTexts(purposes)) throw notConsents();
    return { consent, digest, given: given ?? undefined, filedAt, purposes };
  });
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
const notConsents = (): Error => new Error("accounting: the Consents of a line do not read back");
