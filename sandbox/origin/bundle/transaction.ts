import { resourceOf, type Answer, type OriginCall } from "../call.ts";
import { readSearchQuery } from "../search/query.ts";
import { badRequest, notFound, ServerRefusal } from "../refusal.ts";
import type { Stored } from "../stored.ts";
import type { Store } from "../store.ts";
import { field } from "../values.ts";
import { allMatches, conditionIn, onlyMatch } from "../write/conditional.ts";
import { written } from "../write/write.ts";
import { responseOf, type Carry } from "./batch.ts";
import { answered, entryBodyOf, entriesOf, readBundleEntry, type Entry } from "./entry.ts";
import { relinked } from "./links.ts";

/** An entry with its target, known before any write. */
interface Plan extends Entry {
  /** The `Type/id` that it writes, or the existing resource if it is a creation that is not needed. */
  readonly place?: string;
  /** The answer, if the condition of the entry already decides it. */
  readonly answer?: Answer;
}

/** R4 http.html#trules: the order in which the entries run, in any order of the Bundle. */
const order = ["DELETE", "POST", "PUT", "PATCH", "GET", "HEAD"];

/** Runs all entries or none: the first refusal undoes every write and is the answer. */
export function transaction(bundle: unknown, call: OriginCall, store: Store, carry: Carry): Answer {
  return store.atomically(() => {
    const plans = entriesOf(bundle).map((one) => planOf(readBundleEntry(one, call), store));
    refuseOverlaps(plans);
    const places = new Map(
      plans.flatMap(({ fullUrl, place }) =>
        fullUrl === undefined || place === undefined ? [] : [[fullUrl, place]],
      ),
    );
    const resolve = resolver(plans, store);

    const answers = new Map<Plan, Answer>();
    for (const plan of plans.toSorted((a, b) => stepOf(a) - stepOf(b))) {
      const { body } = plan.call;
      const linked = body.kind === "json" ? { ...body, value: relinked(body.value, places, resolve) } : body;
      answers.set(plan, plan.answer ?? carry({ ...plan.call, body: linked }));
    }
    const entry = plans
      .flatMap((plan) => answers.get(plan) ?? [])
      .map((answer) => answered(answer, store.base));
    return { status: 200, body: responseOf("transaction-response", entry) };
  });
}

const isCreate = ({ method, path }: Entry["call"]): boolean =>
  method === "POST" && /^[A-Z][A-Za-z]*$/u.test(path);
const stepOf = ({ call }: Plan): number =>
  call.method === "POST" && !isCreate(call) ? order.length : order.indexOf(call.method);

function planOf(entry: Entry, store: Store): Plan {
  const { method, path, query, headers } = entry.call;
  if (isCreate(entry.call)) {
    const condition = headers["if-none-exist"];
    const match = condition === undefined ? undefined : onlyMatch(store, path, conditionIn(condition));
    if (match !== undefined) return { ...entry, place: placeOf(match), answer: written(200, match, headers) };
    const assignedId = crypto.randomUUID();
    // Its condition is met. A second evaluation would find the resource that another entry created.
    return {
      ...entry,
      place: `${path}/${assignedId}`,
      call: { ...entry.call, assignedId, headers: { ...headers, "if-none-exist": undefined } },
    };
  }
  if (!["PUT", "PATCH", "DELETE"].includes(method)) return entry;
  if (path.includes("/")) return { ...entry, place: path };

  const match = onlyMatch(store, path, query);
  if (match !== undefined) return at(entry, match.id, placeOf(match));
  if (method === "DELETE") return { ...entry, answer: { status: 204 } };
  if (method === "PATCH") throw notFound();
  const named = field(resourceOf({ ...entry.call, params: {} }), "id");
  const id = typeof named === "string" ? named : crypto.randomUUID();
  if (store.index.get(path, id) !== undefined)
    throw new ServerRefusal(409, "conflict", "Nothing matches, and the id is in use.");
  return at(entry, id, `${path}/${id}`);
}

const placeOf = ({ resourceType, id }: Stored): string => `${resourceType}/${id}`;

/**
 * A conditional write with a known resource becomes a plain write. A resource without an id takes that id.
 */
function at(entry: Entry, id: string, place: string): Plan {
  const { call } = entry;
  const body =
    call.method === "PUT" && call.body.kind === "json"
      ? entryBodyOf({ id, ...Object(call.body.value) })
      : call.body;
  return { ...entry, place, call: { ...call, path: place, query: [], body } };
}

function refuseOverlaps(plans: readonly Plan[]): void {
  const writing = plans.flatMap(({ place, answer }) =>
    place === undefined || answer !== undefined ? [] : [place],
  );
  // R4 http.html#trules
  if (new Set(writing).size < writing.length) throw badRequest("Two entries write the same resource.");
  const names = plans.flatMap(({ fullUrl, place }) =>
    place === undefined || fullUrl === undefined ? [] : [fullUrl],
  );
  if (new Set(names).size < names.length) throw badRequest("Two entries have the same fullUrl.");
}

/**
 * Finds the resource of a conditional reference, among the stored resources and the writes of this
 * transaction: exactly one (R4 http.html#trules).
 */
function resolver(plans: readonly Plan[], store: Store): (condition: string) => string {
  const known = new Map<string, string>();
  return (condition) => {
    const place = known.get(condition) ?? find(condition);
    known.set(condition, place); // hundreds of references of a chart name few practitioners
    return place;
  };

  function find(condition: string): string {
    const type = condition.slice(0, condition.indexOf("?"));
    const query = readSearchQuery([type], conditionIn(condition), store.index);
    const criteria = query.ok ? query.value.of.flatMap(({ criteria }) => criteria) : [];
    const stored = allMatches(store, type, conditionIn(condition)).map(placeOf);
    const sent = plans.flatMap(({ call: { body }, place, answer }) => {
      const value = body.kind === "json" ? body.value : undefined;
      const meets =
        place?.startsWith(`${type}/`) === true &&
        answer === undefined &&
        criteria.every((one) => one.meets(Object(value)));
      return meets ? [place] : [];
    });
    const [match, ...more] = new Set([...stored, ...sent]);
    if (match === undefined || more.length > 0)
      throw new ServerRefusal(412, "multiple-matches", "A conditional reference does not mean one resource.");
    return match;
  }
}
