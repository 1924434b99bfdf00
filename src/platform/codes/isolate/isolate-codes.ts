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

// The pairs of a client, each way: some 2,000. At most 16 MiB for all clients.
const pairBytesMax = 524_288;
const clientsMax = 16;
const dataSetsMax = 32;
// An ended data set is over everywhere within this time, whatever an isolate remembers.
const standMilliseconds = 5_000;

const rememberedOf = () => {
  const pairs = () => new Newest<string>(Infinity, pairBytesMax, (to, from) => to.length + from.length + 96);
  return { codes: pairs(), names: pairs(), lasted: new Newest<Instant>(dataSetsMax) };
};

/**
 * The codes of data sets, for an isolate. A pair never changes while its data set lasts, so pairs are remembered, and an
 * answer of the object within the last five seconds proves that the data set lasts. A client's pairs drive out no pairs
 * of a second client.
 */
export function isolateCodes(book: () => CodeBook, clock: Clock): CodesOf {
  const clients = new Newest<ReturnType<typeof rememberedOf>>(clientsMax);
  return (dataSet) => {
    const { client, agreement, origin, name } = dataSet;
    const place = JSON.stringify([agreement, origin, name]);
    const ask = async (
      kind: "codes" | "names",
      list: readonly string[],
      call: (texts: readonly string[]) => Promise<ListedCodes | ListedNames>,
    ): ReturnType<Codes["codesOf"]> => {
      const remembered = clients.get(client) ?? rememberedOf();
      clients.set(client, remembered);
      const { codes, names, lasted } = remembered;
      const [from, to] = kind === "codes" ? [codes, names] : [names, codes];
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
          clients.delete(client); // of an ended data set no pair of a name and its code stays
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
