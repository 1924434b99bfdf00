import { coversPurpose, purposesOutsideCare } from "#fhir/r4/purpose-of-use";
import { unclear, type ConsentRules, type Party, type Provision, type Unclear } from "./consent.ts";

/**
 * Answers whether the provision at this path states the elements without which no record of 42 CFR Part 2 is
 * disclosed by a consent (42 CFR 2.31(a), (c)): the purpose, the date, and the recipient and the expiry unless
 * the consent is for treatment, payment and operations alone (§2.31(a)(4)(ii), (a)(7)). The name of the patient
 * and the kind of information are asked for elsewhere; the signature and the statements on revocation are in the
 * signed document, which is not read.
 * @param path FHIRPath of the provision that permits. The provisions around it may state the elements.
 * @param requested the purpose of the request, a code of v3-ActReason.
 */
export function standsForPart2({ given, readings }: ConsentRules, path: string, requested: string): boolean {
  if (given === undefined) return false;
  const chains = readings.map(({ root }) => chainTo(root, path));
  return chains.length > 0 && chains.every((chain) => chain.length > 0 && statesElements(chain, requested));
}

function statesElements(chain: readonly Provision[], requested: string): boolean {
  const frames = chain.map(({ frame }) => frame);
  const purposes = frames.flatMap((frame) => (frame.purposes === undefined ? [] : [frame.purposes]));
  const [stated] = purposes.toReversed(); // the innermost: it is within the purposes around it
  if (stated === undefined || !areKnown(stated)) return false;
  const purposesStated = stated.filter((code) => code !== unclear);
  if (
    isOutsideCare(requested) &&
    !purposesStated.some((code) => isOutsideCare(code) && coversPurpose(code, requested))
  )
    return false;
  const isForCare = purposesStated.every(
    (code) => careAndPayment.some((wide) => coversPurpose(wide, code)) && !isOutsideCare(code),
  );
  if (isForCare) return true;
  const isNamed = frames.some(({ recipients }) => recipients !== undefined && areKnown(recipients));
  const ends = frames.some(
    ({ period }) => period !== undefined && period !== unclear && isFinite(period.utc[1]),
  );
  return isNamed && ends;
}

/** 42 CFR 2.31(a)(5): treatment, payment and health care operations. */
const careAndPayment = ["TREAT", "HPAYMT", "HOPERAT"] as const;

/** A patient has to name such a purpose: a consent for the three does not include it. */
const isOutsideCare = (purpose: string): boolean =>
  purposesOutsideCare.some((wide) => coversPurpose(wide, purpose));

const areKnown = (items: readonly (string | Party | Unclear)[]): boolean =>
  items.length > 0 && items.every((item) => item !== unclear);

/** The provisions from the root to the provision at a path; empty if there is none. */
function chainTo(provision: Provision, path: string): readonly Provision[] {
  if (provision.path === path) return [provision];
  for (const exception of provision.exceptions) {
    const chain = chainTo(exception, path);
    if (chain.length > 0) return [provision, ...chain];
  }
  return [];
}
