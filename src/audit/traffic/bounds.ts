import { type InstrumentName, readSeries, restOf, type Series, seriesOf, otherLabel } from "./instruments.ts";

/** Limits of stored numbers. What finds no room adds up in the series `other` of its instrument: no sum loses it. */
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
    if (!this.#known.has(bounded) && this.#known.size >= trafficMax.series) return restOf(read.instrument);
    this.#known.add(bounded);
    this.#learnClient(bounded);
    return bounded;
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

/** Adds to the numbers of a minute or an hour, of at most `most` series and the rest of each instrument. */
export function addWithin(numbers: Map<Series, number>, series: Series, n: number, most: number): void {
  const read = readSeries(series);
  const place =
    numbers.has(series) || numbers.size < most || read === undefined ? series : restOf(read.instrument);
  numbers.set(place, (numbers.get(place) ?? 0) + n);
}
