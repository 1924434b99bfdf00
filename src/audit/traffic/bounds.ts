import {
  type InstrumentName,
  isClosed,
  otherLabel,
  readSeries,
  reservedSeries,
  restOf,
  type Series,
  seriesOf,
} from "./instruments.ts";

/**
 * Limits of stored numbers, with the series that always have room (`reservedSeries`). What finds no room adds up in the
 * series `other` of its instrument: no sum loses it.
 */
export const trafficMax = {
  clients: 200,
  /** Of all times. */
  series: 2_000,
  /** In a minute and in an hour. */
  minute: 300,
  hour: 1_000,
} as const;

/** The series that are known, and the series that takes a new one's number. */
export class KnownSeries {
  readonly #known: Set<Series>;
  readonly #clients = new Set<string>();

  constructor(known: Iterable<Series>) {
    this.#known = new Set(known);
    for (const series of this.#known) this.#learnClient(series);
  }

  /** Undefined: a series of no instrument, which counts nowhere. */
  place(series: Series): Series | undefined {
    const read = readSeries(series);
    if (read === undefined) return undefined;
    const bounded = this.#withinClients(read.instrument, read.labels);
    const placed = placeIn(this.#known, bounded, read.instrument, trafficMax.series);
    this.#known.add(placed);
    this.#learnClient(placed);
    return placed;
  }

  #withinClients(instrument: InstrumentName, labels: readonly string[]): Series {
    const [client = "", ...others] = labels;
    const isBeyond =
      instrument === "phylax_client_outcomes" &&
      !this.#clients.has(client) &&
      this.#clients.size >= trafficMax.clients;
    return isBeyond ? seriesOf(instrument, [otherLabel, ...others]) : seriesOf(instrument, labels);
  }

  #learnClient(series: Series): void {
    const read = readSeries(series);
    const [client = otherLabel] = read?.labels ?? [];
    if (read?.instrument === "phylax_client_outcomes" && client !== otherLabel) this.#clients.add(client);
  }
}

/** Adds to the numbers of a minute or an hour, of at most `most` series. */
export function addWithin(numbers: Map<Series, number>, series: Series, n: number, most: number): void {
  const read = readSeries(series);
  if (read === undefined) return;
  const place = placeIn(numbers, series, read.instrument, most);
  numbers.set(place, (numbers.get(place) ?? 0) + n);
}

/** The series itself where it is known or has room. */
function placeIn(
  known: { readonly size: number; readonly has: (series: Series) => boolean },
  series: Series,
  instrument: InstrumentName,
  most: number,
): Series {
  const hasRoom = known.has(series) || isClosed(instrument) || known.size < most - reservedSeries();
  return hasRoom ? series : restOf(instrument);
}
