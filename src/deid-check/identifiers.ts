/** The forms that the checker knows. */
export type CheckedForm = "safe-harbor" | "limited-data-set";

/** A class of identifiers: its paragraph of 45 CFR 164.514(b)(2)(i), and of (e)(2) if that forbids it too. */
interface IdentifierClass {
  readonly name: string;
  readonly safeHarbor: string;
  /** Undefined: a limited data set may have this class. */
  readonly limited: string | undefined;
}

export const classes = {
  name: { name: "name", safeHarbor: "(A)", limited: "(i)" },
  place: { name: "address", safeHarbor: "(B)", limited: "(ii)" },
  area: { name: "town, county or ZIP Code of a small area", safeHarbor: "(B)", limited: undefined },
  date: { name: "date", safeHarbor: "(C)", limited: undefined },
  age: { name: "age over 89", safeHarbor: "(C)", limited: undefined },
  phone: { name: "telephone or fax number", safeHarbor: "(D) (E)", limited: "(iii) (iv)" },
  email: { name: "email address", safeHarbor: "(F)", limited: "(v)" },
  ssn: { name: "social security number", safeHarbor: "(G)", limited: "(vi)" },
  number: {
    name: "record, plan, account, licence or vehicle number",
    safeHarbor: "(H)-(L)",
    limited: "(vii)-(xi)",
  },
  device: { name: "device identifier", safeHarbor: "(M)", limited: "(xii)" },
  url: { name: "URL", safeHarbor: "(N)", limited: "(xiii)" },
  ip: { name: "IP address", safeHarbor: "(O)", limited: "(xiv)" },
  biometric: { name: "biometric identifier or photograph", safeHarbor: "(P) (Q)", limited: "(xv) (xvi)" },
  // Text and unknown codes may hold each of the sixteen, so a limited data set has none of them either.
  other: { name: "text, or a code that is not random", safeHarbor: "(R)", limited: "(i)-(xvi)" },
} as const satisfies Readonly<Record<string, IdentifierClass>>;
export type IdentifierName = keyof typeof classes;

/** Values that are an identifier under any name, with the first that fits. */
const byValue: readonly (readonly [RegExp, IdentifierName])[] = [
  [/[^\s@]+@[^\s@]+\.[^\s@]+/u, "email"],
  [/(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])|\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){4,7}\b/iu, "ip"],
  [/\b\d{3}-\d{2}-\d{4}\b/u, "ssn"],
  [/\b\d{4}-\d{2}(?:-\d{2})?\b(?!-)|\b\d{1,2}\/\d{1,2}\/\d{2,4}\b|T\d{2}:\d{2}|^\d{2}:\d{2}:\d{2}/u, "date"],
  [/(?:\+?\d[ ().-]{0,2}){7,15}\d/u, "phone"],
  [/\(01\)\d{14}|\b[A-HJ-NPR-Z0-9]{17}\b/u, "device"],
];

/** Members with numbers or texts of one class. A member that no list names is `other`. */
const byName: Readonly<Record<string, IdentifierName>> = {
  ...of("name", "family given prefix suffix name alias contact publisher agent authorString nickname"),
  ...of("place", "line text address position latitude longitude altitude"),
  ...of("area", "city district"),
  ...of("date", "timeOfDay dayOfWeek lastUpdated time issued start end availableStartTime availableEndTime"),
  ...of("phone", "telecom"),
  ...of("number", "identifier value subscriberId policyNumber preAuthRef accession"),
  ...of(
    "device",
    "serialNumber lotNumber udiCarrier deviceIdentifier carrierHRF carrierAIDC distinctIdentifier",
  ),
  ...of("url", "url fullUrl source link endpoint"),
  ...of("biometric", "data photo hash"),
};

function of(name: IdentifierName, members: string): Readonly<Record<string, IdentifierName>> {
  return Object.fromEntries(members.split(" ").map((member) => [member, name]));
}

export const classByName = (member: string): IdentifierName =>
  Object.hasOwn(byName, member) ? (byName[member] ?? "other") : "other";

export const classByValue = (text: string): IdentifierName | undefined =>
  byValue.find(([form]) => form.test(text))?.[1];

/** Members in which four digits are no year. */
const notDates: ReadonlySet<string> = new Set(
  "value id postalCode code line city text family given reference url system subscriberId".split(" "),
);
export const mayBeDate = (member: string): boolean => !notDates.has(member);
