import { dayMilliseconds } from "#kernel/clock";
import { lineConsentsMax, type PatientsConsent } from "#audit/accounting/line-consents";
import type { AuditEvent } from "#audit/event";
import { permitPurposesMax, permitsMax } from "#audit/values";
import type { ConsentOfPatient } from "#policy/consent/consent-book";
import type { ConsentRules } from "#policy/consent/consent";
import type { KnownFacts } from "#gateway/origin/asking";

/**
 * Adds to the disclosures of an append the Consents that let something of their patients through, for the accounting
 * lines of these patients. Beyond the limit of an append, lines state none.
 */
export function withPermits(
  events: readonly AuditEvent[],
  { name, facts }: { readonly name: string; readonly facts?: Pick<KnownFacts, "permitting"> | undefined },
): readonly AuditEvent[] {
  const permitting = facts?.permitting ?? [];
  if (permitting.length === 0) return events;
  const byPatient = Map.groupBy(permitting, ({ patient }) => `${name}/Patient/${patient}`);
  let room = permitsMax;
  return events.map((event) => {
    if (event.kind !== "disclosure") return event;
    const permits = event.patients
      .flatMap(({ patient }) =>
        (byPatient.get(patient) ?? []).slice(0, lineConsentsMax).map((through) => permitOf(patient, through)),
      )
      .slice(0, room);
    room -= permits.length;
    return permits.length === 0 ? event : { ...event, permits };
  });
}

const permitOf = (
  patient: string,
  { consent, digest, filed: { rules, filedAt } }: ConsentOfPatient,
): PatientsConsent => ({
  patient,
  consent,
  digest,
  given: givenText(rules),
  filedAt,
  purposes: purposesOf(rules),
});

const yearZero = -62_167_219_200_000;
const year10000 = 253_402_300_800_000;

/**
 * Consent.dateTime: a year, a month or a day as it stands, a time in UTC. A time that has a year of four digits only
 * in its own zone is stated by none.
 */
function givenText({ given }: ConsentRules): string | undefined {
  if (given === undefined) return undefined;
  const [from, until] = given.utc;
  if (!(from >= yearZero && from < year10000)) return undefined;
  const days = (until - from) / dayMilliseconds;
  const text = new Date(from).toISOString();
  if (given.isZoned) return text;
  return text.slice(0, days > 31 ? 4 : days > 1 ? 7 : 10);
}

/** The purposes of the root, without a purpose of a different code system. */
function purposesOf({ readings }: ConsentRules): readonly string[] {
  const codes = readings.flatMap(({ root }) => root.frame.purposes ?? []);
  const known = codes.flatMap((code) => (code !== null && /^[\w-]{1,64}$/u.test(code) ? [code] : []));
  return [...new Set(known)].slice(0, permitPurposesMax);
}
