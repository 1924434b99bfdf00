import { trafficMax } from "./bounds.ts";
import { instrumentOf, readSeries, type Series, type Traffic } from "./instruments.ts";

/** The numbers of an isolate, as they go with an append. */
export const isolateText = (numbers: Traffic): string => JSON.stringify(Array.from(numbers));

/**
 * The numbers of an isolate that a log adds. Only series of known instruments count, and none of an exact instrument: a
 * caller of the log can change no number that comes from records. A malformed text has no numbers and fails no append.
 */
export function readIsolateText(text: string): Traffic {
  const numbers = new Map<Series, number>();
  for (const [series, n] of pairsOf(text)) {
    const read = typeof series === "string" ? readSeries(series) : undefined;
    if (read === undefined || instrumentOf(read.instrument).isExact) continue;
    if (Number.isSafeInteger(n) && Number(n) > 0 && numbers.size < trafficMax.minute)
      numbers.set(String(series), Number(n));
  }
  return numbers;
}

const textMax = 65_536; // 300 series of up to 200 characters

function pairsOf(text: string): readonly (readonly unknown[])[] {
  if (text.length > textMax) return [];
  try {
    const pairs: unknown = JSON.parse(text);
    return Array.isArray(pairs) ? pairs.filter((pair) => Array.isArray(pair)) : [];
  } catch {
    return [];
  }
}
