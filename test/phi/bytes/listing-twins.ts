import { RowBarrier } from "#fhir/row-barrier";
import { readInteraction } from "#fhir/interaction";
import { EntrySplitter, type EntryBytes } from "#fhir/json/entry-splitter";
import { textAt, type JsonObject } from "#fhir/json/json";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { isCut } from "#phi/bytes/entry-cutter";
import type { CutEntry } from "#phi/bytes/row-cutter";
import { EverythingPage } from "#phi/everything-page";
import { compilePolicy } from "#policy/compile";
import { evaluateListing, type ListingGrant } from "#policy/evaluate-listing";
import type { PolicyDocument } from "#policy/schema";
import { Residences } from "#residence/row-residences";
import { policy, rule } from "../../policy/granting.ts";
import { entryOf, isJson, ofPatientOne, randomRule, scopes } from "./disclosing-twins.ts";
import { utf8 } from "./fuzzing.ts";
import { mutate } from "./hostile-texts.ts";
import { bases } from "./twins.ts";

/** The grant for `$everything` or a history; `undefined`: it is refused. */
export function listingGrant(
  document: PolicyDocument,
  request: string,
  scopeText: string | undefined,
): ListingGrant | undefined {
  const [path = "", query = ""] = request.split("?", 2);
  const listing = readInteraction("GET", path.split("/"), query);
  const parsed = parseScopes(scopeText ?? "system/*.rs");
  if (!listing.ok || !("kind" in listing.value) || !parsed.ok) throw new Error(`no listing: ${request}`);
  const { value } = listing;
  if (value.kind !== "everything" && value.kind !== "history") throw new Error(`no listing: ${request}`);
  const access = {
    scopes: parsed.value,
    patient: scopeText?.startsWith("patient/") === true ? "1" : undefined,
  };
  const grant = evaluateListing(compilePolicy(document, "sha256:test"), access, value);
  return grant.ok ? grant.value : undefined;
}

/** The types of the fuzzed record. */
export const recordTypes = ["Patient", "Observation", "Condition", "Encounter"] as const;

/**
 * A page of `$everything` by both engines: the same outcome of each entry, the same page, the same residences.
 * Returns the number of entries that the byte engine read.
 *
 * @param resources of any types; those of `recordTypes` are entries mostly.
 */
export function fuzzEverything(resources: readonly JsonObject[], roll: () => number): number {
  const rules = recordTypes.flatMap((type) => {
    const one = resources.find((resource) => textAt(resource, "resourceType") === type);
    return one === undefined ? [] : [randomRule(type, one, roll)];
  });
  const document = { ...policy(...rules, rule(["Patient"], ["name"])), operations: ["everything" as const] };
  const grant = listingGrant(document, "Patient/1/$everything", scopes[Math.floor(roll() * scopes.length)]);
  if (grant?.kind !== "everything") return 0;
  const made = (engine: "bytes" | "plain") => {
    const residences = new Residences(instant(0));
    const named = { ...bases, name: "main", residences, barrier: new RowBarrier() };
    return { page: new EverythingPage(grant, named, engine), residences };
  };
  const [fast, plain] = [made("bytes"), made("plain")];
  const entries = Array.from({ length: 12 }, () => {
    const found = resources[Math.floor(roll() * resources.length)];
    if (found === undefined) throw new Error("no resources");
    const text = ofPatientOne(found, roll);
    const resource = roll() < 0.2 ? mutate(text, roll) : text;
    return isJson(resource) ? entryOf(resource, roll) : entryOf(text, roll, '{"mode":"match"}');
  });
  const part = (index: number) => (index < 3 ? "key" : "row");
  const outcomeOf = ({ page }: typeof fast, entry: EntryBytes | CutEntry, index: number): string =>
    JSON.stringify(part(index) === "key" ? page.keyOf(entry) : page.offer(entry));
  const outcomes: string[] = [];
  let read = 0;
  const text = utf8(`{"entry":[${entries.map((entry) => new TextDecoder().decode(entry)).join(",")}]}`);
  const cut = Math.floor(roll() * text.length);
  const [splitter, ahead] = [new EntrySplitter(), fast.page.ahead(() => part(outcomes.length))];
  for (const chunk of [text.slice(0, cut), text.slice(cut)])
    splitter.read(
      chunk,
      (entry) => {
        if (isCut(entry)) read += 1;
        outcomes.push(outcomeOf(fast, entry, outcomes.length));
        return undefined;
      },
      ahead,
    );
  const expected = entries.map((entry, index) => outcomeOf(plain, entry, index));
  const [one, other] = [fast, plain].map(({ page, residences }, index) => {
    const { windows, withheldPaths } = page.finish(undefined, true);
    const shown = windows.map(({ body, ...facts }) => [new TextDecoder().decode(body), facts]);
    const states = ["1", "r1", "2", "example"].map((id) => residences.of(id) ?? null);
    const referred = [...page.referred].map(([key, names]) => [key, [...names]]);
    return JSON.stringify([index === 0 ? outcomes : expected, shown, withheldPaths, states, referred]);
  });
  if (one !== other) throw new Error(`two results:\n${other}\n${one}\n\n${new TextDecoder().decode(text)}`);
  return read;
}
