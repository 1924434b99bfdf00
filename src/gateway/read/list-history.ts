import type { EntryBytes } from "#fhir/json/entry-splitter";
import { property, textAt, type JsonObject } from "#fhir/json/json";
import { pageAt } from "#fhir/origin-link";
import type { PagePlace } from "#fhir/ports";
import type { FhirBase } from "#fhir/r4/reference";
import { isContentType } from "#fhir/route";
import { err, ok, type Result } from "#kernel/result";
import { HistoryPage } from "#phi/history-page";
import type { HistoryGrant } from "#policy/evaluate-listing";
import type { Grant } from "#policy/grant";
import type { WholeAnswer } from "#gateway/origin/calls";
import { allRows } from "#gateway/origin/pages";
import type { RowsRefusal } from "#gateway/origin/asking";
import { fill, type Filled } from "./fill-page.ts";
import type { PageRefusal } from "./fillable.ts";
import type { GatherRefusal } from "./gather.ts";
import type { OriginSession } from "#gateway/origin/origin-session";
import { questionFor, questionsById } from "#gateway/origin/rows-by-id";
import { passOver } from "#gateway/origin/pass-over";
import { referredTo } from "./referrers.ts";
import { behindContext } from "./security-context.ts";

/**
 * A page of a history. For a single resource it asks for the current resource and then for its versions,
 * whatever the first answer was: an absent resource and a hidden resource cause the same two questions.
 */
export async function listHistory(
  grant: HistoryGrant,
  start: PagePlace,
  origin: OriginSession,
): Promise<Result<Filled<HistoryPage>, GatherRefusal>> {
  const { type, id, showsDeleted } = grant;
  const first = { ask: grant.ask, type: "history" } as const;
  if (id === undefined)
    return fill({ ...first, waits: true }, start, origin, (base) => new HistoryOfType(grant, base, origin));

  const answer = await origin.read({ path: `${type}/${id}`, query: "" });
  const led = await leadingTo(grant.read, answer, origin);
  const now = !led.ok ? led : answer.ok ? await origin.standing(led.value, answer.value, type, id) : answer;
  const covered = await origin.coverRelation();
  if (!covered.ok) return covered;
  const isGone = !now.ok && now.error.reason === "absent";
  if (!now.ok && !(isGone && showsDeleted)) {
    await passOver(await origin.ask(pageAt(grant.ask, start.link)));
    return now;
  }
  const judged = led.ok ? { ...grant, read: led.value } : grant;
  const filled = await fill(
    first,
    start,
    origin,
    (base) => new HistoryPage(judged, origin.basesAt(base), () => (now.ok ? now.value : undefined)),
  );
  return !now.ok && filled.ok && filled.value.page.isEmpty && filled.value.next === undefined ? now : filled;
}

/** The grant for a resource and its versions: a content needs what leads to it, as a read does. */
async function leadingTo(
  read: Grant,
  answer: Result<WholeAnswer, unknown>,
  origin: OriginSession,
): Promise<Result<Grant, RowsRefusal | { readonly reason: "row_outside_access" }>> {
  const { expects } = read;
  return expects.kind === "read" && isContentType(expects.type)
    ? behindContext(await referredTo(read, expects, origin), expects, answer, origin)
    : ok(read);
}

/** The number of current resources for which a question asks. */
const idsMax = 200;

/** Asks for the current resources of each origin page. */
class HistoryOfType extends HistoryPage {
  readonly #type: string;
  readonly #origin: OriginSession;
  readonly #now: Map<string, JsonObject | undefined>;

  constructor(grant: HistoryGrant, base: FhirBase, origin: OriginSession) {
    const now = new Map<string, JsonObject | undefined>();
    super(grant, origin.basesAt(base), (id) => now.get(id));
    this.#type = grant.type;
    this.#origin = origin;
    this.#now = now;
  }

  async prepare(
    entries: readonly EntryBytes[],
  ): Promise<Result<ReadonlySet<EntryBytes>, RowsRefusal | PageRefusal>> {
    const ids = new Set<string>();
    for (const entry of entries) {
      const key = this.keyOf(entry);
      if (!key.ok) return key;
      const id = key.value?.slice(0, key.value.indexOf("/")) ?? "";
      if (id !== "" && !this.#now.has(id)) ids.add(`${this.#type}/${id}`);
    }
    for (const [, some] of questionsById(ids, idsMax)) {
      const refusal = await this.#learn(some);
      if (refusal !== undefined) return err(refusal);
    }
    return ok(new Set());
  }

  async #learn(ids: readonly string[]): Promise<RowsRefusal | undefined> {
    const found = await allRows(questionFor(this.#type, ids, idsMax), 5 * idsMax, this.#origin);
    if (!found.ok) return found.error;
    for (const id of ids) this.#now.set(id, undefined);
    for (const row of found.value.rows) {
      const id = textAt(row, "id") ?? "";
      if (property(row, "resourceType") === this.#type && ids.includes(id)) this.#now.set(id, row);
    }
    return undefined;
  }
}
