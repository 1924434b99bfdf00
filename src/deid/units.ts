/** The system of UCUM. Units of a different system are not read. */
export const unitSystem = "http://unitsofmeasure.org";

const metric =
  "m|g|s|L|l|mol|eq|osm|U|\\[IU\\]|\\[iU\\]|cal|K|J|W|Pa|N|V|A|Hz|Bq|Gy|Sv|bit|By|Cel|m\\[Hg\\]|m\\[H2O\\]";
const time = "min|h|d|wk|mo|a|mo_[jgs]|a_[jgt]";
const plain =
  "%|deg|bar|meq|\\[degF\\]|\\[lb_av\\]|\\[oz_av\\]|\\[in_[ius]\\]|\\[ft_[ius]\\]|\\[pH\\]|\\[drp\\]|\\[ppm\\]|\\[ppb\\]|" +
  "\\[CFU\\]|\\[HPF\\]|\\[LPF\\]|\\[arb'U\\]|\\[diop\\]|\\[foz_us\\]|\\[cup_us\\]|\\[tsp_us\\]|\\[tbs_us\\]|\\[copies\\]|\\[Ch\\]|dB";
// Braces hold any text, so only known annotations stay.
const annotation =
  "\\{(?:score|#|count|ratio|index|titer|tbl|tablet|capsule|puff|beats?|breaths?|INR|T'U|cells?|copies|events?|" +
  "nominal|1\\.73_m2)\\}";
const number = "1|10[*^][+-]?\\d{1,2}";
// No exponent of 1 and none of a time: `a1` and `s+1` would hide a year.
const factor = `(?:(?:[numcdhkMGpf]|da)?(?:${metric})(?:-1|[+-]?[2-9])?|${time}|${plain})(?:${annotation})?|${annotation}|${number}`;
const unit = new RegExp(`^/?(?:${factor})(?:[./](?:${factor})){0,4}$`, "u");
const ofTime = new RegExp(`^(?:(?:[numcdhkMGpf]|da)?s|${time})(?:${annotation})?$`, "u");
const isNumber = new RegExp(`^(?:${number}|${annotation})$`, "u");

const yearSeconds = 31_557_600;
/** Years in a unit of time. */
const years = new Map([
  ...[1, 1e-3, 1e-6, 1e-9].map(
    (part, at) => [["s", "ms", "us", "ns"][at] ?? "", part / yearSeconds] as const,
  ),
  ["min", 1 / 525_960],
  ["h", 1 / 8766],
  ["d", 1 / 365.25],
  ["wk", 7 / 365.25],
  ...["mo", "mo_j", "mo_g", "mo_s"].map((name) => [name, 1 / 12] as const),
  ...["a", "a_j", "a_g", "a_t"].map((name) => [name, 1] as const),
]);

/** The UCUM code of the words that people write for a unit of time. */
const words = new Map([
  ...["year", "years", "yr", "yrs", "y"].map((word) => [word, "a"] as const),
  ...["month", "months", "mos"].map((word) => [word, "mo"] as const),
  ...["week", "weeks", "wks"].map((word) => [word, "wk"] as const),
  ...["day", "days"].map((word) => [word, "d"] as const),
  ...["hour", "hours", "hr", "hrs"].map((word) => [word, "h"] as const),
  ...["minute", "minutes"].map((word) => [word, "min"] as const),
]);

/**
 * The UCUM code of a unit; undefined if the unit is not read. A product or quotient of times and numbers alone
 * (`12.mo`, `a/10*-1`), or a long multiple of the second, would hide a time.
 */
export function unitOf(text: string): string | undefined {
  const code = words.get(text.toLowerCase()) ?? text;
  if (!unit.test(code)) return undefined;
  const factors = code.split(/(?=[./])/u);
  const names = factors.map((each) => each.replace(/^[./]/u, ""));
  const isTime = factors.some((each, at) => !each.startsWith("/") && ofTime.test(names[at] ?? ""));
  const hasOther = names.some((name) => !ofTime.test(name) && !isNumber.test(name));
  const isKnown = factors.length === 1 && yearsOf(1, code) !== undefined;
  return isTime && !hasOther && !isKnown ? undefined : code;
}

/** The years of a value in a UCUM unit; undefined if the unit is no time. */
export function yearsOf(value: number, code: string): number | undefined {
  const each = years.get(code.replace(/\{.*\}$/u, ""));
  return each === undefined ? undefined : value * each;
}
