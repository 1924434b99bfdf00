import { readSearchset, searchset, type SearchMatch } from "#fhir/bundle";
import { isAskedFor, patientsAsked } from "#fhir/asked";
import { bodyBytesMax, isObject, property, readJson, type Json, type JsonObject, type JsonRefusal } from "#fhir/json";
import { isId } from "#fhir/reference";
import { err, ok, type Result } from "#kernel/result";
import type { Grant } from "#policy/evaluate";
import { originUrls, type Bases } from "./origin-urls.ts";
import { cutResource, type CutContext, type CutRefusal, type CutResource } from "./redact.ts";

/** What may be released, and what the record must say of it before it is (P1). */
export interface Disclosure {
  readonly body: Uint8Array<ArrayBuffer>;
  /** Every patient concerned, as `<origin name>/Patient/<id>`, with the released resources that concern them, by type: none for one who was asked for in vain. */
  readonly patients: readonly { readonly patient: string; readonly counts: Readonly<Record<string, number>> }[];
  /** Released resources about somebody whom no reference names, as `Type/id`. */
  readonly unnamed: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  /** Resources dropped whole: for the record only, since the reader may not know how many there are. */
  readonly withheldResources: number;
  readonly withheldPaths: readonly string[];
}

/** Why nothing leaves. */
export type Withheld =
  | { readonly reason: `answer_${JsonRefusal["reason"]}` }
  /** Another type or id than was asked for. */
  | { readonly reason: "answer_not_asked" }
  | { readonly reason: "answer_not_a_searchset" }
  /** The origin has more than it gave: a part is never passed off as the whole. */
  | { readonly reason: "answer_not_whole" }
  /** The row is in no rule's reach. Decided by a row: the same public face as absent. */
  | { readonly reason: "row_out_of_reach" }
  /** Decided by a row as well. */
  | { readonly reason: "resource_withheld"; readonly because: CutRefusal };

/** Decides every resource of an origin's answer and cuts it to its view. Never throws for a bad answer; nothing is released but what a view shows. */
export function disclose(body: Uint8Array, grant: Grant, bases: Bases & { readonly name: string }): Result<Disclosure, Withheld> {
  const answer = readJson(body);
  if (!answer.ok) return err({ reason: `answer_${answer.error.reason}` });
  const context: CutContext = { bases, urls: originUrls(bases), viewInside: grant.viewInside };
  const ledger = new Tally(bases.name);

  const { expects } = grant;
  if (expects.kind === "read") {
    const resource = asked(answer.value, expects.type);
    if (resource?.id !== expects.id) return err({ reason: "answer_not_asked" });
    const view = grant.viewOf(resource.resource);
    if (view === undefined) return err({ reason: "row_out_of_reach" });
    const cut = cutResource(resource.resource, view, context);
    if (!cut.ok) return err({ reason: "resource_withheld", because: cut.error });
    ledger.add(expects.type, expects.id, cut.value);
    return ledger.disclosure(cut.value.resource, grant.withheldPaths);
  }

  const set = readSearchset(answer.value);
  if (typeof set === "string") return err({ reason: `answer_${set}` });
  for (const patient of patientsAsked(expects.type, grant.asked)) ledger.name(patient);
  const matches: SearchMatch[] = [];
  let isCut = false;
  for (const match of set.matches) {
    // The row first: what is wrong with a hidden one must not decide the status.
    const view = isAskedFor(match, grant.asked, bases.origin) ? grant.viewOf(match) : undefined;
    if (view !== undefined && property(match, "resourceType") !== expects.type) return err({ reason: "answer_not_asked" });
    const resource = view === undefined ? undefined : asked(match, expects.type);
    const cut = view === undefined || resource === undefined ? undefined : cutResource(resource.resource, view, context);
    if (cut?.ok !== true || resource === undefined) ledger.withhold();
    // Counted after the cut: what is hidden must not decide whether a page is full.
    else if (matches.length >= (expects.count ?? Infinity)) isCut = true;
    else {
      ledger.add(expects.type, resource.id, cut.value);
      matches.push({ type: expects.type, id: resource.id, resource: cut.value.resource });
    }
  }
  return ledger.disclosure(searchset(bases.public, expects.self, matches, isCut), grant.withheldPaths);
}

function asked(value: Json, type: string): { readonly id: string; readonly resource: JsonObject } | undefined {
  if (!isObject(value) || property(value, "resourceType") !== type) return undefined;
  const id = property(value, "id");
  return typeof id === "string" && isId(id) ? { id, resource: value } : undefined;
}

/** Counts what leaves and whom it concerns. */
class Tally {
  readonly #origin: string;
  readonly #patients = new Map<string, Record<string, number>>();
  readonly #counts: Record<string, number> = {};
  readonly #unnamed: string[] = [];
  #withheld = 0;

  constructor(origin: string) {
    this.#origin = origin;
  }

  add(type: string, id: string, { patients, unnamed, withheld }: CutResource): void {
    this.#counts[type] = (this.#counts[type] ?? 0) + 1;
    this.#withheld += withheld;
    if (unnamed) this.#unnamed.push(`${type}/${id}`);
    for (const patient of patients) {
      const counts = this.#patients.get(patient) ?? {};
      counts[type] = (counts[type] ?? 0) + 1;
      this.#patients.set(patient, counts);
    }
  }

  /** Somebody whom the answer is about, whatever is in it. */
  name(patient: string): void {
    this.#patients.set(patient, this.#patients.get(patient) ?? {});
  }

  withhold(): void {
    this.#withheld += 1;
  }

  disclosure(released: JsonObject, withheldPaths: readonly string[]): Result<Disclosure, Withheld> {
    const body = new TextEncoder().encode(JSON.stringify(released)) as Uint8Array<ArrayBuffer>; // never shared memory (WHATWG Encoding §8.2)
    // What stands for hidden elements may be longer than they were.
    if (body.length > bodyBytesMax) return err({ reason: "answer_too_large" });
    return ok({
      body,
      patients: [...this.#patients].map(([id, counts]) => ({ patient: `${this.#origin}/Patient/${id}`, counts })),
      unnamed: this.#unnamed,
      counts: this.#counts,
      withheldResources: this.#withheld,
      withheldPaths,
    });
  }
}
