import { floodDoors, leaseResults, rowWays, waitParts, waits } from "./isolate-labels.ts";

/** A number that grows, or times. */
interface Instrument {
  readonly type: "counter" | "histogram";
  readonly unit: string;
  /** At most three. Each value is a name or an id of our own. */
  readonly labels: readonly string[];
  /** The values of the labels, if all are closed lists. */
  readonly values?: readonly (readonly string[])[];
  readonly help: string;
  /** The question of operators. */
  readonly why: string;
  /**
   * True: the log counts in the commit that stores the record (traffic/count), so an auditor counts the same in the
   * opened records. False: an isolate of the gateway counts (traffic/isolate-numbers).
   */
  readonly isExact: boolean;
}

/** All instruments, by the name before `_total`. */
export const instruments = {
  phylax_requests: {
    type: "counter",
    unit: "requests",
    labels: ["interaction"],
    help: "Requests by their first record; interaction none: refused before it was known",
    why: "How many requests come?",
    isExact: true,
  },
  phylax_outcomes: {
    type: "counter",
    unit: "ends",
    labels: ["interaction", "outcome"],
    help: "Ends of requests, and of the writes and refusals of a batch, by the record that ends them",
    why: "How do requests end?",
    isExact: true,
  },
  phylax_client_outcomes: {
    type: "counter",
    unit: "ends",
    labels: ["client", "purpose", "outcome"],
    help: "Ends of requests of a proven client with a purpose; client other: beyond the first 200 clients",
    why: "Which client asks, for which purpose?",
    isExact: true,
  },
  phylax_refusals: {
    type: "counter",
    unit: "refusals",
    labels: ["reason"],
    help: "Refusals by the reason on record, also anonymous ones that only a count records",
    why: "Why are requests refused?",
    isExact: true,
  },
  phylax_wait_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["wait"],
    values: [waits],
    help: "Time of calls of origins, appends, leases and whole FHIR requests; added: a request less the time in which a call of an origin ran",
    why: "How long do parts take?",
    isExact: false,
  },
  phylax_origin_calls: {
    type: "counter",
    unit: "calls",
    labels: ["origin", "result"],
    help: "Calls of an origin by their result; circuit_open: not sent",
    why: "Which origin fails?",
    isExact: false,
  },
  phylax_lease_calls: {
    type: "counter",
    unit: "calls",
    labels: ["result"],
    values: [leaseResults],
    help: "Calls of a client's guard for a lease",
    why: "Do guards answer, and are quotas used up?",
    isExact: false,
  },
  phylax_flood_refusals: {
    type: "counter",
    unit: "requests",
    labels: ["door"],
    values: [floodDoors],
    help: "Requests that the flood filter turned away, which are not on record",
    why: "Is there a flood?",
    isExact: false,
  },
  phylax_faults: {
    type: "counter",
    unit: "requests",
    labels: [],
    values: [],
    help: "FHIR requests answered 503 whose fault is not on record",
    why: "Is the ledger or another part down?",
    isExact: false,
  },
  phylax_rows: {
    type: "counter",
    unit: "rows",
    labels: ["way"],
    values: [rowWays],
    help: "Rows judged, by the way; unjudged: hidden by the barrier around each row",
    why: "Do rows take the slow engine?",
    isExact: false,
  },
} as const satisfies Readonly<Record<string, Instrument>>;

export type InstrumentName = keyof typeof instruments;

/** A number of an instrument: its name, then the values of its labels in order, one space between. */
export type Series = string;

/** Numbers by series. */
export type Traffic = ReadonlyMap<Series, number>;

export const isInstrument = (name: string): name is InstrumentName => Object.hasOwn(instruments, name);

export const instrumentOf = (name: InstrumentName): Instrument => instruments[name];

/** The label of a value that is no name of ours, and of series beyond a limit. */
export const otherLabel = "other";

// no space, so that a series can be split again; quotes and backslashes are never ours
const labelForm = /^[A-Za-z0-9$._:/@~+-]{1,64}$/u;

/** A value as a label. */
export const labelOf = (value: string): string => (labelForm.test(value) ? value : otherLabel);

export const seriesOf = (instrument: InstrumentName, labels: readonly string[]): Series =>
  [instrument, ...labels.map(labelOf)].join(" ");

/**
 * The instrument and the labels of a series, of a histogram also its part (`waitParts`). Undefined: a series of a
 * version that had different instruments, or a label that is not in its closed list.
 */
export function readSeries(
  series: Series,
): { readonly instrument: InstrumentName; readonly labels: readonly string[] } | undefined {
  const [instrument = "", ...labels] = series.split(" ");
  if (!isInstrument(instrument)) return undefined;
  const { labels: names, values } = instrumentOf(instrument);
  const lists = values === undefined ? undefined : listsOf(instrument, values);
  const isKnown =
    labels.length === (lists ?? names).length &&
    labels.every((label, i) => (lists === undefined ? labelForm.test(label) : lists[i]?.includes(label)));
  return isKnown ? { instrument, labels } : undefined;
}

const listsOf = (name: InstrumentName, values: readonly (readonly string[])[]) =>
  instrumentOf(name).type === "histogram" ? [...values, waitParts] : values;

/** The series of an instrument that takes the numbers without room. */
export const restOf = (instrument: InstrumentName): Series =>
  seriesOf(
    instrument,
    instruments[instrument].labels.map(() => otherLabel),
  );

/** The instruments whose labels are closed lists: their series always have room. */
export const isClosed = (instrument: InstrumentName): boolean =>
  instrumentOf(instrument).values !== undefined;

let reserved: number | undefined;

/** The number of series that always have room: of closed lists, and the rest of each instrument without them. */
// a function: the gateway's bundle has no table of instruments
export const reservedSeries = (): number =>
  (reserved ??= Object.keys(instruments)
    .filter(isInstrument)
    .reduce((sum, name) => {
      const { values } = instrumentOf(name);
      const lists = values === undefined ? [] : listsOf(name, values);
      return sum + lists.reduce((product, list) => product * list.length, 1);
    }, 0));
