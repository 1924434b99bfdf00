import { systemName } from "#fhir/code-system";
import { largest } from "#kernel/largest";
import { coversSensitivity } from "./row-labels.ts";
import { sensitiveCodes } from "./sensitivity.gen.ts";

const icd10cm = "http://hl7.org/fhir/sid/icd-10-cm";
// WHO's ICD-10, its clinical modification and its national editions share the codes of the value sets.
const isIcd10 = /(?:\/icd-10(?:-[a-z]{2})?|^2\.16\.840\.1\.113883\.6\.3\.\d+)$/u;

function plainName(system: string): string {
  const name = systemName(system);
  return isIcd10.test(name) ? icd10cm : name;
}

/**
 * A code of ICD-10 as it is compared: claims leave out the dot, some servers write small letters, and WHO's marks
 * (`F11.-`, `B20.0+`) are no part of the code.
 */
const icdText = (code: string): string => code.toUpperCase().replaceAll(/\.|[-+*†!]$/gu, "");

/** Only ICD-10 writes codes so. Without the dot it may be a code of a different system (HCPCS A5051). */
const isIcdWithDot = (code: string): boolean => /^[A-Z]\d[0-9A-Z]\.[0-9A-Z]{0,4}[-+*†!]?$/iu.test(code);

/**
 * The text of a code, as `system|code`, that is one text for all spellings of one code of ICD-10; undefined: it is of
 * a different system. A code without a system may be of any.
 */
export function icdTextOf(name: string): string | undefined {
  const at = name.indexOf("|");
  const isIcd = at === 0 || plainName(name.slice(0, at)) === icd10cm;
  return isIcd ? icdText(name.slice(at + 1)) : undefined;
}

const none: readonly string[] = [];
/** `system|code` and, for a Coding without a system, `|code` → sensitivities. ICD-10-CM by {@link icdText}. */
const sensitivitiesByCode: ReadonlyMap<string, readonly string[]> = index();

function index(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const [key, codes] of Object.entries(sensitiveCodes)) {
    const [labels = "", system = ""] = key.split(" ");
    const known = plainName(system);
    for (const listed of codes.split(" ").flatMap(longCodes)) {
      const code = known === icd10cm ? icdText(listed) : listed;
      for (const name of [`${known}|${code}`, `|${code}`])
        found.set(name, [...new Set([...(found.get(name) ?? none), ...labels.split(",")])]);
    }
  }
  return new Map([...found].map(([name, labels]) => [name, narrowest(labels)]));
}

/** The codes of a word of the table. The generator of the table reads each of its words back. */
export function longCodes(word: string): readonly string[] {
  if (/^[0-9a-z]{1,10}$/u.test(word)) return [String(Number.parseInt(word, 36))];
  const [, letter = "", first = "", last] = /^([A-Z])(\d\d)-(\d\d)$/u.exec(word) ?? [];
  if (last === undefined) return [word];
  return Array.from(
    { length: Number(last) - Number(first) + 1 },
    (_, place) => letter + String(Number(first) + place).padStart(2, "0"),
  );
}

/** No listed code is longer: a row's code of a megabyte is not looked up by each of its beginnings. */
const listedLengthMax = largest(
  [...sensitivitiesByCode.keys()].map((name) => name.split("|")[1]?.length ?? 0),
);

/** A code of opioids is about substance use, too: a Consent need not name both. */
function narrowest(labels: readonly string[]): readonly string[] {
  return labels.filter((wide) => !labels.some((label) => label !== wide && coversSensitivity(wide, label)));
}

/**
 * The sensitivities of a code by the published value sets. A code of ICD-10-CM below a listed code counts
 * (F11.1 covers F11.120). A Coding without a system counts as every system: a label may only add protection.
 */
export function sensitivitiesOf(system: string | undefined, code: string): readonly string[] {
  const name = system === undefined ? "" : plainName(system);
  const exact = name === icd10cm ? none : (sensitivitiesByCode.get(`${name}|${code}`) ?? none);
  if (name !== icd10cm && (name !== "" || !isIcdWithDot(code))) return exact;
  const text = icdText(code);
  const above = new Set(exact);
  for (let length = Math.min(text.length, listedLengthMax); length >= 3; length--)
    for (const label of sensitivitiesByCode.get(`${icd10cm}|${text.slice(0, length)}`) ?? none)
      above.add(label);
  return narrowest([...above]);
}

/** The listed codes without their systems: in capitals, and without a dot. */
export const sensitiveTexts: ReadonlySet<string> = new Set(
  [...sensitivitiesByCode.keys()].map((name) => name.slice(name.indexOf("|") + 1)),
);

/** Answers whether a code labels a row in any system: see {@link sensitivitiesOf}. */
export const mayLabel = (code: string): boolean =>
  sensitivitiesOf(undefined, code).length > 0 || sensitivitiesOf(icd10cm, code).length > 0;
