import type { PatientsConsent } from "#audit/accounting/line-consents";
import type { ConsentThrough } from "#policy/consent/consent-book";
import type { ConsentRules } from "#policy/consent/consent";
import type { OriginSession } from "#gateway/origin/origin-session";

// audit/check takes as many; beyond that, lines state none
const permitsMax = 1_000;
const purposesMax = 16;

/** The Consents that let something through, for the accounting lines of their patients; undefined: none did. */
export function permitsOf(
  origin: Pick<OriginSession, "name" | "consentsThrough"> | undefined,
): readonly PatientsConsent[] | undefined {
  const through = origin?.consentsThrough ?? [];
  if (origin === undefined || through.length === 0) return undefined;
  return through
    .slice(0, permitsMax)
    .map(({ patient, consent, digest, filed: { rules, filedAt } }: ConsentThrough): PatientsConsent => ({
      patient: `${origin.name}/Patient/${patient}`,
      consent,
      digest,
      given: givenText(rules),
      filedAt,
      purposes: purposesOf(rules),
    }));
}

const dayMilliseconds = 86_400_000;

/** Consent.dateTime: a year, a month or a day as it stands, a time in UTC. */
function givenText({ given }: ConsentRules): string | undefined {
  if (given === undefined) return undefined;
  const [from, until] = given.utc;
  if (!Number.isFinite(from)) return undefined;
  const days = (until - from) / dayMilliseconds;
  const text = new Date(from).toISOString();
  if (given.isZoned) return text;
  return text.slice(0, days > 31 ? 4 : days > 1 ? 7 : 10);
}

/** The purposes of the root, without a purpose of a different code system. */
function purposesOf({ readings }: ConsentRules): readonly string[] {
  const codes = readings.flatMap(({ root }) => root.frame.purposes ?? []);
  const known = codes.flatMap((code) => (code === null || code.includes("|") ? [] : [code]));
  return [...new Set(known)].slice(0, purposesMax);
}
