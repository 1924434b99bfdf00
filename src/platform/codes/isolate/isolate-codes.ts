import { codesPerCall, type Codes, type CodesOf, type DataSet } from "#deid/codes";
import { ageAt, type Clock, type Instant } from "#kernel/clock";
import { Newest } from "#kernel/memo";
import { ok } from "#kernel/result";
import type { ListedCodes, ListedNames } from "#platform/codes/object/data-set-codes";
import { inTime } from "#platform/deadlines";

interface CodeBook {
  codesOf(dataSet: DataSet, names: readonly string[]): Promise<ListedCodes>;
  namesOf(dataSet: DataSet, codes: readonly string[]): Promise<ListedNames>;
}

// Pairs of a name and a code in an isolate, each way: some 4 MB.
const pairsMax = 8_192;
// An ended data set is over everywhere within this time, whatever an isolate remembers.
const standMilliseconds = 5_000;
const dataSetsMax = 256;

/**
 * The codes of data sets, for an isolate of the gateway. A pair never changes while its data set lasts, so pairs are
 * remembered, and an answer of `jobs` within the last five seconds proves that the data set lasts.
 */
export function isolateCodes(book: () => CodeBook, clock: Clock): CodesOf {
  const remembered = { codes: new Newest<string>(pairsMax), names: new Newest<string>(pairsMax) };
  const lasted = new Newest<Instant>(dataSetsMax);
  return (dataSet) => {
    const place = JSON.stringify([dataSet.client, dataSet.agreement, dataSet.origin, dataSet.name]);
    const ask = async (
      kind: "codes" | "names",
      list: readonly string[],
      call: (texts: readonly string[]) => Promise<ListedCodes | ListedNames>,
    ): ReturnType<Codes["codesOf"]> => {
      const [from, to] =
        kind === "codes" ? [remembered.codes, remembered.names] : [remembered.names, remembered.codes];
      const found = new Map<string, string>();
      const unknown = new Set<string>();
      for (const text of list) {
        const known = from.get(place + text);
        if (known === undefined) unknown.add(text);
        else found.set(text, known);
      }
      const at = clock();
      const since = lasted.get(place);
      const mayEnd = since === undefined || ageAt(since, at) > standMilliseconds;
      const texts = unknown.size > 0 || !mayEnd ? [...unknown] : list.slice(0, 1);
      for (let first = 0; first < texts.length; first += codesPerCall) {
        const some = texts.slice(first, first + codesPerCall);
        const answer = await inTime("codes", () => call(some));
        if (!answer.ok) {
          lasted.delete(place);
          // of an ended data set no pair of a name and its code stays
          for (const pairs of [from, to])
            for (const key of pairs.keys()) if (key.startsWith(place)) pairs.delete(key);
          return answer;
        }
        lasted.set(place, at);
        for (const [index, text] of some.entries()) {
          const other = answer.value[index];
          if (other === undefined || other === null) continue;
          found.set(text, other);
          from.set(place + text, other);
          to.set(place + other, text);
        }
      }
      return ok(found);
    };
    return {
      codesOf: (names) => ask("codes", names, (texts) => book().codesOf(dataSet, texts)),
      namesOf: (codes) => ask("names", codes, (texts) => book().namesOf(dataSet, texts)),
    };
  };
}
