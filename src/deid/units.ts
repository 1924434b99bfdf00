/** The system of UCUM. Units of a different system are not read. */
export const unitSystem = "http://unitsofmeasure.org";

/** A unit in metres, grams, seconds, …: its size and its dimension, `LL/T`. Letters of no SI unit are dimensions of their own. */
interface UnitSize {
  readonly size: number;
  readonly dimension: ReadonlyMap<string, number>;
}

const table = (text: string): ReadonlyMap<string, UnitSize> =>
  new Map(
    text.split(" ").map((row) => {
      const [name = "", size, dimension = ""] = row.split("=");
      return [name, { size: Number(size), dimension: dimensionOf(dimension) }] as const;
    }),
  );

function dimensionOf(text: string): ReadonlyMap<string, number> {
  const dimension = new Map<string, number>();
  for (const [at, part] of text.split("/").entries())
    for (const letter of part) dimension.set(letter, (dimension.get(letter) ?? 0) + (at === 0 ? 1 : -1));
  return dimension;
}

const yearSeconds = 31_557_600;
/** The units that take a prefix and an exponent. */
const metric = table(
  "m=1=L g=1=M s=1=T L=1e-3=LLL l=1e-3=LLL mol=1=N eq=1=N osm=1=N U=1.6667e-8=N/T [IU]=1=i [iU]=1=i " +
    "cal=4184=MLL/TT K=1=K J=1e3=MLL/TT W=1e3=MLL/TTT Pa=1e3=M/LTT N=1e3=ML/TT V=1e3=MLL/TTTA A=1=A Hz=1=/T " +
    "Bq=1=/T Gy=1=LL/TT Sv=1=LL/TT bit=1=B By=8=B Cel=1=K m[Hg]=1.33322e8=M/LTT m[H2O]=9.80665e6=M/LTT",
);
const time = table(
  "min=60=T h=3600=T d=86400=T wk=604800=T " +
    ["mo", "mo_j", "mo_g", "mo_s"].map((name) => `${name}=${yearSeconds / 12}=T `).join("") +
    ["a", "a_j", "a_g", "a_t"].map((name) => `${name}=${yearSeconds}=T`).join(" "),
);
const plain = table(
  "%=1e-2 deg=1=d bar=1e8=M/LTT [degF]=1=K [lb_av]=453.592=M [oz_av]=28.3495=M [in_i]=0.0254=L [in_u]=0.0254=L " +
    "[in_s]=0.0254=L [ft_i]=0.3048=L [ft_u]=0.3048=L [ft_s]=0.3048=L [pH]=1=p [drp]=5e-8=LLL [ppm]=1e-6 [ppb]=1e-9 " +
    "[CFU]=1=f [HPF]=1=h [LPF]=1=l [arb'U]=1=u [diop]=1=/L [foz_us]=2.957e-5=LLL [cup_us]=2.366e-4=LLL " +
    "[tsp_us]=4.93e-6=LLL [tbs_us]=1.479e-5=LLL [copies]=1=c [Ch]=3.333e-4=L dB=1=D",
);
/** The power of ten of each prefix. */
const prefixes: ReadonlyMap<string, number> = new Map(
  "f-15 p-12 n-9 u-6 m-3 c-2 d-1 da1 h2 k3 M6 G9"
    .split(" ")
    .map((each) => [each.replace(/-?\d+/u, ""), Number(/-?\d+/u.exec(each)?.[0])] as const),
);
const anyOf = (names: Iterable<string>): string =>
  Array.from(names, (name) => name.replaceAll(/[[\]]/gu, String.raw`\$&`)).join("|");

// Braces hold any text, so only known annotations stay. The first ones name what is counted.
const counted = "titer|tbl|tablet|capsule|puff|beats?|breaths?|INR|T'U|cells?|copies|events?|1\\.73_m2";
const annotation = `\\{(?:${counted}|score|#|count|ratio|index|nominal)\\}`;
const number = "1|10[*^][+-]?\\d{1,2}";
// No exponent of 1 and none of a time: `a1` would hide a year.
const named = `(?:(?<prefix>${anyOf(prefixes.keys())})?(?<metric>${anyOf(metric.keys())})(?<exponent>-1|[+-]?[2-9])?|(?<other>${anyOf([...time.keys(), ...plain.keys()])}))(?:${annotation})?`;
const factor = new RegExp(`^(?:${named}|${annotation}|(?<number>${number}))$`, "u");
const isCounted = new RegExp(`^\\{(?:${counted})\\}$`, "u");
const factorsMax = 5;

/** A time in one of these units can be read at sight. */
const usualTimes: ReadonlySet<string> = new Set(["s", "ms", "us", "ns", ...time.keys()]);

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
 * The UCUM code of a unit; undefined if the unit is not read. A time in an unusual unit (`12.mo`, `a/10*-1`, `a.kg/g`,
 * `/nHz`) is not read: it would hide an age.
 */
export function unitOf(text: string): string | undefined {
  const code = words.get(text.toLowerCase()) ?? text;
  const size = sizeOf(code);
  if (size === undefined) return undefined;
  const isTime = size.dimension.size === 1 && size.dimension.get("T") === 1;
  return isTime && !usualTimes.has(bareOf(code)) ? undefined : code;
}

/**
 * The age that one of a unit tells, in years. Undefined: the unit tells no age. Without a dimension (`1`, `{score}`,
 * `10*1`) the number may be an age in years, unless the unit names what is counted.
 */
export function ageOf(
  code: string,
): { readonly kind: "time" | "number"; readonly years: number } | undefined {
  const { size, dimension } = sizeOf(code) ?? {};
  if (size === undefined || dimension === undefined) return undefined;
  if (dimension.size === 0) return isCounted.test(code) ? undefined : { kind: "number", years: size };
  return usualTimes.has(bareOf(code)) ? { kind: "time", years: size / yearSeconds } : undefined;
}

const bareOf = (code: string): string => code.replace(/\{.*\}$/u, "");

function sizeOf(code: string): UnitSize | undefined {
  const parts = code.split(/(?=[./](?!73_m2))/u);
  if (parts.length > factorsMax || code === "") return undefined;
  let product = 1;
  const dimension = new Map<string, number>();
  for (const [at, part] of parts.entries()) {
    const isBelow = part.startsWith("/");
    if (at === 0 && part.startsWith(".")) return undefined;
    const found = factor.exec(part.replace(/^[./]/u, ""))?.groups;
    if (found === undefined) return undefined;
    const unit =
      metric.get(found["metric"] ?? "") ?? time.get(found["other"] ?? "") ?? plain.get(found["other"] ?? "");
    const power = Number(found["exponent"] ?? 1) * (isBelow ? -1 : 1);
    const tens =
      (prefixes.get(found["prefix"] ?? "") ?? 0) +
      Number(/^10.(?<exponent>.+)$/u.exec(found["number"] ?? "")?.groups?.["exponent"] ?? 0);
    product *= ((unit?.size ?? 1) * 10 ** tens) ** power;
    for (const [letter, exponent] of unit?.dimension ?? []) {
      const sum = (dimension.get(letter) ?? 0) + exponent * power;
      if (sum === 0) dimension.delete(letter);
      else dimension.set(letter, sum);
    }
  }
  return hidesYears(dimension, parts) ? undefined : { size: product, dimension };
}

/** A product of years with a letter of its own (`a.deg`, `mo.[IU]`) would hide an age, and no measure has such a unit. */
const hidesYears = (dimension: ReadonlyMap<string, number>, parts: readonly string[]): boolean =>
  parts.length > 1 &&
  [...dimension.keys()].some((letter) => letter !== "T") &&
  parts.some((part) => /^\.?(?:a|mo|wk)(?:_[jgst])?(?:\{.*\})?$/u.test(part));
