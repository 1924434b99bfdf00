import { dayMilliseconds } from "#kernel/clock";
import { outsideUs } from "#residence/residence";
import { isUsState } from "#residence/us-states";

/**
 * The notices that a breach requires, and their deadlines: 45 CFR 164.404 to 164.408. Dates are calendar
 * days, `2026-11-24`.
 */
export interface BreachClocks {
  readonly discovered: string;
  /** 164.404(b): each individual, without unreasonable delay and not later. */
  readonly individuals: string;
  /**
   * 164.406: the media of each State (160.103) with more than 500 affected residents, as soon and not later.
   * `maybe`: States that pass 500 if individuals of unknown residence live there; {@link unknownState} is in
   * it if they alone could pass 500.
   */
  readonly media: {
    readonly by: string;
    readonly states: readonly string[];
    readonly maybe: readonly string[];
  };
  /**
   * 164.408: the Secretary; together with the individuals from 500 on, below that within 60 days after the
   * year of the discovery.
   */
  readonly secretary: { readonly by: string; readonly clause: "164.408(b)" | "164.408(c)" };
}

const DAYS = 60;
const RESIDENTS = 500; // 164.406(a): "more than 500 residents of a State or jurisdiction"
const INDIVIDUALS = 500; // 164.408(b): "500 or more individuals"
/** The name that counts individuals whose state no record has. */
export const unknownState = "unknown";

/**
 * @param discovered ms since 1970: the first day on which the breach is known, or by reasonable diligence
 * would have been known (164.404(a)(2)).
 * @param byState individuals by state of residence; {@link unknownState} counts those without a known state.
 */
export function breachClocks(discovered: number, byState: Readonly<Record<string, number>>): BreachClocks {
  const day = Math.floor(discovered / dayMilliseconds) * dayMilliseconds;
  const all = Object.values(byState).reduce((sum, count) => sum + count, 0);
  const [known, unknown] = [
    Object.entries(byState).filter(([state]) => isUsState(state)),
    undecided(byState),
  ];
  const states = known.filter(([, count]) => count > RESIDENTS).map(([state]) => state);
  const maybe = known
    .filter(([, count]) => count <= RESIDENTS && count + unknown > RESIDENTS)
    .map(([state]) => state);
  const within = dateOf(day + DAYS * dayMilliseconds);
  const large = all >= INDIVIDUALS;
  const lastOfYear = Date.UTC(new Date(day).getUTCFullYear(), 11, 31);
  return {
    discovered: dateOf(day),
    individuals: within,
    media: { by: within, states, maybe: unknown > RESIDENTS ? [...maybe, unknownState] : maybe },
    secretary: large
      ? { by: within, clause: "164.408(b)" }
      : { by: dateOf(lastOfYear + DAYS * dayMilliseconds), clause: "164.408(c)" },
  };
}

/**
 * The number of individuals who may live in any State: neither their State nor a residence abroad is known. A
 * text that names no State (`Massachusets`, `AE`) decides nothing.
 */
export function undecided(byState: Readonly<Record<string, number>>): number {
  const undecidedStates = Object.entries(byState).filter(
    ([state]) => !isUsState(state) && state !== outsideUs,
  );
  return undecidedStates.reduce((sum, [, count]) => sum + count, 0);
}

const dateOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
