/** What a unit of UCUM measures, as the checker reads it. */
export type ReadUnit =
  | { readonly kind: "time"; readonly years: number }
  /** No dimension: one of the unit is so many ones. */
  | { readonly kind: "number"; readonly ones: number }
  /** Another dimension, or the number of a named thing. */
  | { readonly kind: "other" };

/** Units as UCUM defines them, by further units. A unit without a row here is a base. */
const definitions: ReadonlyMap<string, readonly [factor: number, unit: string]> = new Map(
  `min 60 s;h 60 min;d 24 h;wk 7 d;a 365.25 d;a_j 1 a;a_g 1 a;a_t 1 a;mo 0.08333333333333333 a;mo_j 1 mo;mo_g 1 mo;mo_s 1 mo;
L 1 dm3;l 1 L;eq 1 mol;osm 1 mol;U 1 umol/min;[iU] 1 [IU];N 1 kg.m/s2;J 1 N.m;W 1 J/s;V 1 W/A;Pa 1 N/m2;
cal 4.184 J;Hz 1 /s;Bq 1 /s;Gy 1 J/kg;Sv 1 Gy;By 8 bit;Cel 1 K;[degF] 1 K;bar 100 kPa;m[Hg] 133.322 kPa;
m[H2O] 9.80665 kPa;% 0.01 1;[ppm] 0.000001 1;[ppb] 0.000000001 1;[lb_av] 453.6 g;[oz_av] 28.35 g;
[in_i] 2.54 cm;[in_u] 2.54 cm;[in_s] 2.54 cm;[ft_i] 30.48 cm;[ft_u] 30.48 cm;[ft_s] 30.48 cm;[Ch] 0.333 mm;
[diop] 1 /m;[drp] 0.05 mL;[foz_us] 29.57 mL;[cup_us] 236.6 mL;[tsp_us] 4.93 mL;[tbs_us] 14.79 mL`
    .split(/;\s*/u)
    .map((row) => {
      const [name = "", factor, unit = ""] = row.split(" ");
      return [name, [Number(factor), unit]] as const;
    }),
);
const bases = "m g s K A mol bit deg [IU] [pH] [CFU] [HPF] [LPF] [arb'U] [copies] dB".split(" ");
const prefixes: ReadonlyMap<string, number> = new Map(
  "f 1e-15 p 1e-12 n 1e-9 u 1e-6 m 1e-3 c .01 d .1 da 10 h 100 k 1e3 M 1e6 G 1e9"
    .match(/\S+ \S+/gu)
    ?.map((each) => [each.split(" ")[0] ?? "", Number(each.split(" ")[1])]),
);
const things =
  /^\{(?:titer|tbl|tablet|capsule|puff|beats?|breaths?|INR|T'U|cells?|copies|events?|1\.73_m2)\}$/u;
const noThings = /^\{(?:score|#|count|ratio|index|nominal)\}$/u;
const factorForm =
  /(?<sign>[./]?)(?:(?<tens>10[*^][+-]?\d{1,2}|1)|(?<name>(?:[A-Za-z%_']|\[[^\]]+\])+)(?<power>[+-]?\d)?)?(?<braces>\{[^}]*\})?/uy;

const yearsOfOthers =
  /^(?:.+\.)?(?:a|mo|wk)(?:_[a-z])?(?:\{[^}]*\})?[./].|.\.(?:a|mo|wk)(?:_[a-z])?(?:\{[^}]*\})?$/u;

/** Undefined: the checker cannot read the unit. */
export function readUnit(text: string): ReadUnit | undefined {
  const one = sizeOf(text, () => 1);
  if (one === undefined) return undefined;
  // A unit of time grows with the second, and with no further base.
  const withTime = (sizeOf(text, (base) => (base === "s" ? 2 : 1)) ?? 0) / one;
  const withOthers = (sizeOf(text, (base) => (base === "s" ? 1 : 3 + bases.indexOf(base) / 7)) ?? 0) / one;
  // `a.deg` measures nothing: its number would be an age.
  if (Math.abs(withOthers - 1) > 1e-9) return yearsOfOthers.test(text) ? undefined : { kind: "other" };
  if (withTime === 2) return { kind: "time", years: one / (365.25 * 86_400) };
  if (withTime !== 1 || things.test(text)) return { kind: "other" };
  return { kind: "number", ones: one };
}

/** The size of a unit for these sizes of the bases. */
function sizeOf(text: string, base: (name: string) => number): number | undefined {
  let size = 1;
  let at = 0;
  do {
    factorForm.lastIndex = at;
    const { sign = "", tens, name, power = "1", braces } = factorForm.exec(text)?.groups ?? {};
    if (sign === (at === 0 ? "." : "")) return undefined;
    at = factorForm.lastIndex;
    if (tens === undefined && name === undefined && braces === undefined) return undefined;
    if (braces !== undefined && !things.test(braces) && !noThings.test(braces)) return undefined;
    const each = name === undefined ? 10 ** Number(tens?.slice(3) ?? 0) : sizeOfName(name, base);
    if (each === undefined) return undefined;
    size *= each ** (sign === "/" ? -Number(power) : Number(power));
  } while (at < text.length);
  return size;
}

function sizeOfName(name: string, base: (name: string) => number): number | undefined {
  const [factor, unit] = definitions.get(name) ?? [];
  if (factor !== undefined && unit !== undefined) return factor * (sizeOf(unit, base) ?? Number.NaN);
  if (bases.includes(name)) return base(name);
  const prefix = [...prefixes.keys()].find((each) => {
    const rest = name.slice(each.length);
    return name.startsWith(each) && (definitions.has(rest) || bases.includes(rest));
  });
  if (prefix === undefined) return undefined;
  const rest = sizeOfName(name.slice(prefix.length), base);
  return rest && rest * (prefixes.get(prefix) ?? Number.NaN);
}
