/**
 * The States of HIPAA (45 CFR 160.103: also the District of Columbia, Puerto Rico, the Virgin Islands,
 * Guam, American Samoa and the Northern Mariana Islands), by their codes of USPS Publication 28, Appendix
 * B. It has more codes (`MH`, `AE`), which are no State of 160.103.
 */
const states = {
  AL: "Alabama",
  AK: "Alaska",
  AS: "American Samoa",
  AZ: "Arizona",
  AR: "Arkansas",
  CA: "California",
  CO: "Colorado",
  CT: "Connecticut",
  DE: "Delaware",
  DC: "District of Columbia",
  FL: "Florida",
  GA: "Georgia",
  GU: "Guam",
  HI: "Hawaii",
  ID: "Idaho",
  IL: "Illinois",
  IN: "Indiana",
  IA: "Iowa",
  KS: "Kansas",
  KY: "Kentucky",
  LA: "Louisiana",
  ME: "Maine",
  MD: "Maryland",
  MA: "Massachusetts",
  MI: "Michigan",
  MN: "Minnesota",
  MS: "Mississippi",
  MO: "Missouri",
  MT: "Montana",
  NE: "Nebraska",
  NV: "Nevada",
  NH: "New Hampshire",
  NJ: "New Jersey",
  NM: "New Mexico",
  NY: "New York",
  NC: "North Carolina",
  ND: "North Dakota",
  MP: "Northern Mariana Islands",
  OH: "Ohio",
  OK: "Oklahoma",
  OR: "Oregon",
  PA: "Pennsylvania",
  PR: "Puerto Rico",
  RI: "Rhode Island",
  SC: "South Carolina",
  SD: "South Dakota",
  TN: "Tennessee",
  TX: "Texas",
  UT: "Utah",
  VT: "Vermont",
  VI: "Virgin Islands",
  VA: "Virginia",
  WA: "Washington",
  WV: "West Virginia",
  WI: "Wisconsin",
  WY: "Wyoming",
} as const;
export type UsState = keyof typeof states;

const otherNames: Readonly<Record<string, UsState>> = {
  "Washington DC": "DC",
  "US Virgin Islands": "VI",
  "Virgin Islands (US)": "VI",
  "United States Virgin Islands": "VI",
  "Virgin Islands of the United States": "VI",
  "Commonwealth of the Northern Mariana Islands": "MP",
};
/**
 * Territories that have a country code in ISO 3166-1 too: their alpha-3 codes. Their alpha-2 codes are the
 * codes of USPS.
 */
const territories: Readonly<Record<string, UsState>> = {
  ASM: "AS",
  GUM: "GU",
  MNP: "MP",
  PRI: "PR",
  VIR: "VI",
};
const ownCountry = new Set([
  "us",
  "usa",
  "840",
  "unitedstates",
  "unitedstatesofamerica",
  "theunitedstatesofamerica",
]); // ISO 3166-1, and by name

const unsaid = new Set(["", "unknown", "unk"]); // UNK: HL7 v3 NullFlavor, in data that came from V2 and CDA

/** Case, spaces and punctuation do not change a name: `D.C.`, `new  york`. */
const folded = (text: string): string => text.toLowerCase().replace(/[\s\p{P}]/gu, "");

const codes = Object.keys(states) as UsState[]; // the keys of the table above
const byText = new Map<string, UsState>([
  // `US-MA`: ISO 3166-2
  ...codes.flatMap((code) => [code, `US-${code}`, states[code]].map((text) => [folded(text), code] as const)),
  ...Object.entries(otherNames).map(([name, code]) => [folded(name), code] as const),
]);
const byCountry = new Map<string, UsState>([
  ...Object.entries({ ...otherNames, ...territories }).map(([text, code]) => [folded(text), code] as const),
  ...Object.values(territories).flatMap((code) =>
    [code, states[code]].map((text) => [folded(text), code] as const),
  ),
]);

/** The code of a State that a text names by its code or name. */
export const stateNamed = (text: string): UsState | undefined => byText.get(folded(text));

/**
 * The State that a country's name implies: a State that has its own country code, any State (`us`), none
 * (`elsewhere`), or undefined if the name is empty or unknown.
 */
export function countryNamed(text: string): UsState | "us" | "elsewhere" | undefined {
  const name = folded(text);
  if (unsaid.has(name)) return undefined; // the patient might well live in a State, and must count in it
  return ownCountry.has(name) ? "us" : (byCountry.get(name) ?? "elsewhere");
}

export const isUsState = (text: string): text is UsState => Object.hasOwn(states, text);
