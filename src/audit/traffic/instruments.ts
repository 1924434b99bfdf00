/** A number that grows: its name in `/metrics`, and what it counts. */
interface Instrument {
  readonly help: string;
  /** At most three. Each value is a name or an id of our own. */
  readonly labels: readonly string[];
}

/**
 * All instruments, by the name before `_total`. Each is exact: the log counts it in the commit that stores the record
 * (traffic/count), so it equals what an auditor counts in the opened records of the same time.
 */
export const instruments = {
  phylax_requests: {
    help: "Requests by their first record; interaction none: refused before it was known",
    labels: ["interaction"],
  },
  phylax_outcomes: {
    help: "Ends of requests, and of the writes and refusals of a batch, by the record that ends them",
    labels: ["interaction", "outcome"],
  },
  phylax_client_outcomes: {
    help: "Ends of requests of a proven client with a purpose; client other: beyond the first 200 clients",
    labels: ["client", "purpose", "outcome"],
  },
  phylax_refusals: {
    help: "Refusals by the reason on record, also anonymous ones that only a count records",
    labels: ["reason"],
  },
} as const satisfies Readonly<Record<string, Instrument>>;
export type InstrumentName = keyof typeof instruments;

/** A number of an instrument: its name, then the values of its labels in order, one space between. */
export type Series = string;

/** Numbers by series. */
export type Traffic = ReadonlyMap<Series, number>;

export const isInstrument = (name: string): name is InstrumentName => Object.hasOwn(instruments, name);

/** A value that is no name of ours has this label, and so have series beyond a limit. */
export const otherLabel = "other";

// no space, so that a series can be split again; quotes and backslashes are never ours
const labelForm = /^[A-Za-z0-9$._:/@~+-]{1,64}$/u;

export const seriesOf = (instrument: InstrumentName, labels: readonly string[]): Series =>
  [instrument, ...labels.map((label) => (labelForm.test(label) ? label : otherLabel))].join(" ");

/** Undefined: a series of a version that had other instruments. */
export function readSeries(
  series: Series,
): { readonly instrument: InstrumentName; readonly labels: readonly string[] } | undefined {
  const [instrument = "", ...labels] = series.split(" ");
  const isKnown = isInstrument(instrument) && instruments[instrument].labels.length === labels.length;
  return isKnown ? { instrument, labels } : undefined;
}

/** The series of an instrument that takes what finds no room. */
export const restOf = (instrument: InstrumentName): Series =>
  seriesOf(
    instrument,
    instruments[instrument].labels.map(() => otherLabel),
  );
