import { RowBarrier } from "#fhir/row-barrier";
import { readJson, textAt, type JsonObject } from "#fhir/json/json";
import { EntrySplitter, type EntryBytes } from "#fhir/json/entry-splitter";
import { instant } from "#kernel/clock";
import { isCut } from "#phi/bytes/entry-cutter";
import type { CutEntry } from "#phi/bytes/row-cutter";
import { Discloser, type DisclosedEntry } from "#phi/disclose";
import type { NamedBases } from "#phi/row-views";
import { Residences } from "#residence/row-residences";
import type { Linked } from "#phi/included";
import type { Grant } from "#policy/grant";
import type { PolicyRule } from "#policy/schema";
import { decide, policy, rule } from "../../policy/granting.ts";
import { containing } from "./containing.ts";
import { pathsIn, utf8 } from "./fuzzing.ts";
import { mutate } from "./hostile-texts.ts";
import { bases } from "./twins.ts";

/** The twins of one answer: with the byte engine, and the plain engine alone. */
class Twins {
  readonly #fast: Discloser;
  readonly #plain: Discloser;
  readonly #residences: readonly [Residences, Residences];

  readonly #includes: readonly string[];

  constructor(grant: Grant) {
    this.#includes = [...new Set(grant.includes.map(({ name }) => name))];
    const made = (engine: "bytes" | "plain") => {
      const residences = new Residences(instant(0));
      const named: NamedBases = { ...bases, name: "main", residences, barrier: new RowBarrier() };
      return { discloser: new Discloser(grant, named, [], engine), residences };
    };
    const [fast, plain] = [made("bytes"), made("plain")];
    [this.#fast, this.#plain] = [fast.discloser, plain.discloser];
    this.#residences = [fast.residences, plain.residences];
  }

  entry(bytes: Uint8Array, type: string): string {
    const [fast, plain] = [this.#fast.entry(bytes, type), this.#plain.entry(bytes, type)];
    const [one, other] = [fast, plain].map((result) =>
      JSON.stringify(result.ok ? described(result.value, this.#includes) : result.error),
    );
    this.#same(one, other, bytes);
    return plain.ok ? plain.value.kind : plain.error.reason;
  }

  /**
   * The rows of a page, which the fast twin reads ahead in chunks and the plain twin one by one. Returns the
   * number of rows that were read ahead.
   */
  page(entries: readonly Uint8Array[], type: string, ends: readonly number[]): number {
    const page = utf8(`{"entry":[${entries.map((entry) => new TextDecoder().decode(entry)).join(",")}]}`);
    const [splitter, ahead] = [new EntrySplitter(), this.#fast.ahead(type, () => "row")];
    const texts: string[] = [];
    let matches = 0;
    const take = (bytes: EntryBytes | CutEntry) => {
      if (isCut(bytes)) matches += 1;
      const entry = this.#fast.entry(bytes, type);
      texts.push(JSON.stringify(entry.ok ? described(entry.value, this.#includes) : entry.error));
      return undefined;
    };
    const bounds = [0, ...ends.map((end) => end % page.length).toSorted((a, b) => a - b), page.length];
    for (const [index, from] of bounds.slice(0, -1).entries())
      splitter.read(page.slice(from, bounds[index + 1]), take, ahead);
    for (const [index, bytes] of entries.entries()) {
      const plain = this.#plain.entry(bytes, type);
      const text = JSON.stringify(plain.ok ? described(plain.value, this.#includes) : plain.error);
      // The fast twin has read all rows by now, the plain twin only these: their residences agree at the end.
      if (texts[index] !== text || index === entries.length - 1) this.#same(texts[index], text, page);
    }
    return matches;
  }

  read(body: Uint8Array, type: string, id: string): string {
    const [fast, plain] = [this.#fast.read(body, type, id), this.#plain.read(body, type, id)];
    const [one, other] = [fast, plain].map((result) =>
      result.ok
        ? JSON.stringify({ ...result.value, released: [...result.value.released] })
        : JSON.stringify(result.error),
    );
    this.#same(one, other, body);
    return plain.ok ? "released" : plain.error.reason;
  }

  #same(fast: string | undefined, plain: string | undefined, bytes: Uint8Array): void {
    const states = this.#residences.map((residences) =>
      ["1", "r1", "2", "other", "example"].map((id) => residences.of(id)),
    );
    if (fast === plain && JSON.stringify(states[0]) === JSON.stringify(states[1])) return;
    throw new Error(
      `two results:\n${plain}\n${fast}\n${JSON.stringify(states)}\n${new TextDecoder().decode(bytes)}`,
    );
  }
}

/** Each field of an entry; of an included resource also by each of the references that may lead to it. */
function described(entry: DisclosedEntry, includes: readonly string[]): unknown {
  if (entry.kind !== "match" && entry.kind !== "include") return entry.kind;
  if (entry.kind === "match") return fieldsOf(entry);
  const ways = [...includes.map((name) => [name]), includes, []];
  return [fieldsOf(entry), ...ways.map((names) => fieldsOf(entry.through(new Set(names))))];
}

function fieldsOf(linked: (Linked & { readonly kind?: string }) | undefined): unknown {
  if (linked === undefined) return "none";
  const { released, shown, links } = linked;
  const { type, id, text, patients, unseen, room, unnamed, withheld, records } = released;
  const named = { patients: [...patients], unseen: [...unseen], room, unnamed };
  const leads = links.map((each) => JSON.stringify([...each]));
  return {
    kind: linked.kind,
    type,
    id,
    text: new TextDecoder().decode(text),
    named,
    withheld,
    records,
    shown,
    leads,
  };
}

const labels = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
export const scopes = ["system/*.rs", "system/*.rs", "patient/*.rs", "patient/*.rs?category=vital-signs"];

/**
 * One answer under a random policy: rows of the type by both engines. The counts of its outcomes.
 */
export function fuzzAnswer(resources: readonly JsonObject[], roll: () => number): Map<string, number> {
  const pick = <T>(list: readonly T[]): T => {
    const found = list[Math.floor(roll() * list.length)];
    if (found === undefined) throw new Error("an empty list");
    return found;
  };
  const counts = new Map<string, number>();
  const first = pick(resources);
  const type = textAt(first, "resourceType") ?? "";
  const rows = resources.filter((one) => textAt(one, "resourceType") === type || roll() < 0.02);
  const rules = Array.from({ length: 1 + Math.floor(roll() * 3) }, () => randomRule(type, pick(rows), roll));
  const inside = rule(
    ["Medication", "Organization", "Observation", "Coverage"],
    roll() < 0.5 ? "everything" : ["id"],
  );
  const questions = [
    type,
    `${type}?_id=1,r1,example`,
    `${type}?_elements=status,code,name,subject`,
    `${type}?patient=1`,
    `${type}?_include=${type}:subject`,
    `${type}?identifier=urn:mrn|1`,
  ];
  const grant = decide(
    policy(...rules, inside, rule(["Patient"], ["name"])),
    pick(questions),
    pick(scopes),
    "1",
  );
  const read = decide(
    policy(...rules, inside),
    `${type}/1${roll() < 0.3 ? "?_elements=status,name" : ""}`,
    pick(scopes),
    "1",
  );
  const search = "reason" in grant ? undefined : new Twins(grant);
  const reading = "reason" in read ? undefined : new Twins(read);
  for (let row = 0; row < 12; row += 1) {
    const text = ofPatientOne(pick(rows), roll);
    const resource = roll() < 0.5 ? mutate(text, roll) : text;
    for (const outcome of [
      search?.entry(entryOf(resource, roll), type),
      reading?.read(resource, type, roll() < 0.9 ? "1" : "2"),
    ])
      if (outcome !== undefined) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return counts;
}

/**
 * One page whose rows repeat the row before but for one value: what the engine remembers of a row is compared
 * with what the plain engine reads. Returns the number of rows that it read.
 */
export function fuzzPage(resources: readonly JsonObject[], roll: () => number, rows = 24): number {
  const first = resources[Math.floor(roll() * resources.length)];
  if (first === undefined) throw new Error("no resources");
  const type = textAt(first, "resourceType") ?? "";
  const shown = randomRule(type, first, roll);
  const grant = decide(
    policy(roll() < 0.5 ? shown : { ...shown, where: [] }, rule(["Patient"], ["name"])),
    roll() < 0.3 ? `${type}?patient=1` : type,
    scopes[Math.floor(roll() * scopes.length)],
    "1",
  );
  if ("reason" in grant) return 0;
  const text = new TextDecoder().decode(ofPatientOne(first, roll));
  let last = text;
  const texts = Array.from({ length: rows }, () => {
    // Rows that differ in one place from the row before, or go back to the first row.
    if (roll() < 0.5) last = withOneChange(roll() < 0.3 ? text : last, roll);
    return isJson(utf8(last)) ? last : text;
  });
  const ends = Array.from({ length: Math.floor(roll() * 3) }, () => Math.floor(roll() * 1e6));
  return new Twins(grant).page(
    texts.map((each) => entryOf(utf8(each), () => 0.5)),
    type,
    ends,
  );
}

/**
 * A page of two rows in two chunks, with the boundary at each byte in turn, and in chunks of a single byte: by both
 * engines. Returns the number of rows that were read ahead.
 */
export function fuzzBoundaries(resources: readonly JsonObject[], roll: () => number): number {
  const first = resources[Math.floor(roll() * resources.length)];
  if (first === undefined) throw new Error("no resources");
  const type = textAt(first, "resourceType") ?? "";
  const grant = decide(
    policy({ ...randomRule(type, first, roll), where: [] }, rule(["Patient"], ["name"])),
    type,
  );
  if ("reason" in grant) return 0;
  const text = new TextDecoder().decode(ofPatientOne(first, roll));
  const changed = withOneChange(text, roll);
  const texts = [text, isJson(utf8(changed)) ? changed : text];
  const entries = texts.map((each) => entryOf(utf8(each), () => 0.5));
  const length = entries.reduce((sum, entry) => sum + entry.length, '{"entry":[,]}'.length);
  const boundaries = Array.from({ length }, (_, at) => at);
  return [...boundaries.map((at) => [at]), boundaries].reduce(
    (rows, ends) => rows + new Twins(grant).page(entries, type, ends),
    0,
  );
}

/** A page of these rows by both engines. @param texts the resources. Returns the number of rows read ahead. */
export function comparePage(type: string, show: PolicyRule["show"], texts: readonly string[]): number {
  const grant = decide(policy(rule([type as PolicyRule["types"][number]], show)), type);
  if ("reason" in grant) throw new Error(grant.reason);
  const entries = texts.map((text) => entryOf(utf8(text), () => 0.5));
  return new Twins(grant).page(entries, type, []);
}

/** Texts that differ in the last character of one string or in one number each, where they are still JSON. */
export function changesOf(text: string): readonly string[] {
  return leavesOf(text).flatMap(({ 0: leaf, index }) => {
    const changed = leaf.startsWith('"') ? `${leaf.slice(0, -2)}9"` : `${leaf}9`;
    return leaf === '""' ? [] : [text.slice(0, index) + changed + text.slice(index + leaf.length)];
  });
}

const leavesOf = (text: string) =>
  [...text.matchAll(/"(?:[^"\\]|\\.)*":?|-?\d+(?:\.\d+)?/gu)].filter(({ 0: leaf }) => !leaf.endsWith(":"));

/** A text in which one string, number or member differs. */
function withOneChange(text: string, roll: () => number): string {
  const strings = leavesOf(text);
  const found = strings[Math.floor(roll() * strings.length)];
  if (found === undefined) return text;
  const isText = found[0].startsWith('"');
  // mostly another last character: all before it is the same
  const changed =
    !isText || (roll() < 0.6 && found[0].length > 2)
      ? found[0].slice(0, isText ? -2 : -1) + Math.floor(roll() * 10) + (isText ? '"' : "")
      : (others[Math.floor(roll() * others.length)] ?? '""');
  return text.slice(0, found.index) + changed + text.slice(found.index + found[0].length);
}

const others = [
  '"Patient/1"',
  '"Patient/2"',
  '"http://origin.internal:8080/fhir/Patient/1"',
  '"http://origin.internal:8080/fhir/Patient/7"',
  '"#p1"',
  '"final"',
  '"vital-signs"',
  '"urn:mrn"',
  '"SUBSETTED"',
  '"caf\\u00e9"',
  '"a % b"',
  '"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"',
  '"R"',
];

export const isJson = (bytes: Uint8Array): boolean => readJson(bytes).ok;

export function randomRule(type: string, resource: JsonObject, roll: () => number): PolicyRule {
  const share = roll();
  const paths = pathsIn(resource, [], type)
    .filter(() => roll() < share)
    .map((path) => path.slice(0, 1 + Math.floor(roll() * path.length)).join("."));
  const conditions = [
    { path: "meta.security", notIn: [`${labels}|R`, `${labels}|V`] },
    { path: "category", in: ["http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"] },
    { path: "status", in: ["final", "active"] },
    { path: "code", notIn: ["http://loinc.org|8302-2"] },
  ].filter(({ path }) => roll() < 0.3 && (path === "meta.security" || Object.hasOwn(resource, path)));
  return rule(
    [type as PolicyRule["types"][number]],
    roll() < 0.1 ? "everything" : [...new Set(paths), "id", ...(roll() < 0.5 ? ["contained"] : [])],
    {
      where: conditions,
      extensions: roll() < 0.5 ? ["urn:x"] : [],
    },
  );
}

/** A copy with id 1 that mostly belongs to Patient 1. */
export function ofPatientOne(resource: JsonObject, roll: () => number): Uint8Array {
  const id = roll() < 0.8 ? { id: "1" } : {};
  const found = roll() < 0.25 ? containing(resource, roll) : resource;
  const text = JSON.stringify({ ...found, ...id }, undefined, roll() < 0.1 ? 1 : undefined);
  return utf8(roll() < 0.8 ? text.replaceAll(/"(?:urn:uuid:|Patient\/)[^"]*"/gu, '"Patient/1"') : text);
}

/** @param search the member `search`; by default one of many spellings, or none. */
export function entryOf(resource: Uint8Array, roll: () => number, search?: string): Uint8Array {
  const spelled = search ?? (roll() < 0.9 ? searches[Math.floor(roll() * searches.length)] : undefined);
  const parts = [
    utf8('"fullUrl":"http://origin.internal:8080/fhir/Observation/1"'),
    Buffer.concat([utf8('"resource":'), resource]),
    ...(spelled === undefined ? [] : [utf8(`"search":${spelled}`)]),
  ];
  if (roll() < 0.3) parts.reverse();
  const members = parts.flatMap((part, index) => (index === 0 ? [part] : [utf8(","), part]));
  return Uint8Array.from(Buffer.concat([utf8("{"), ...members, utf8("}")]));
}

const searches = [
  ...Array.from({ length: 12 }, () => '{"mode":"match"}'),
  '{ "mode" : "match", "score": 1 }',
  "{}",
  '{"mode":"include"}',
  '{"mode":"outcome"}',
  '{"mode":"\\u006datch"}',
  '{"mode":"match","mode":"include"}',
  "null",
  '{"mode":5}',
];

/** The types of resources that the fuzzed page includes; rows of the searched type may be included, too. */
export const includedTypes = ["Patient", "Practitioner", "Organization", "Encounter"] as const;

/**
 * One page of Observations with the resources that they refer to, under rules that show a resource by some of
 * the references that lead to it: by both engines. Returns the counts of the outcomes.
 *
 * @param resources of any types: resources of types that the page does not have are left out.
 */
export function fuzzIncluded(resources: readonly JsonObject[], roll: () => number): Map<string, number> {
  const counts = new Map<string, number>();
  const typeOf = (resource: JsonObject) => textAt(resource, "resourceType") ?? "";
  const found = (type: string) => resources.filter((resource) => typeOf(resource) === type);
  const rows = found("Observation");
  const first = rows[Math.floor(roll() * rows.length)];
  if (first === undefined) return counts;
  const references = ["Observation:performer", "Observation:subject"];
  const rules = includedTypes.flatMap((type) => {
    const [one] = found(type);
    if (one === undefined) return [];
    const isShared = type === "Practitioner" || type === "Organization";
    return Array.from({ length: 1 + Math.floor(roll() * 2) }, () => ({
      ...randomRule(type, one, roll),
      ...(isShared && { referredBy: references.filter(() => roll() < 0.7), interactions: ["read" as const] }),
    }));
  });
  const questions = [
    "Observation?_include=Observation:subject",
    "Observation?_include=Observation:subject&_include=Observation:performer",
    "Observation?_include=Observation:encounter&_include:iterate=Encounter:participant",
    "Observation?_include=Observation:has-member",
    "Observation?_revinclude=Observation:has-member",
    "Observation",
  ];
  const shown = rule(["Observation"], ["status", "subject", "performer", "encounter", "hasMember"]);
  const grant = decide(
    policy(roll() < 0.5 ? shown : randomRule("Observation", first, roll), shown, ...rules),
    questions[Math.floor(roll() * questions.length)] ?? "Observation",
    scopes[Math.floor(roll() * scopes.length)],
    "1",
  );
  if ("reason" in grant) return counts.set(grant.reason, 1);
  const twins = new Twins(grant);
  const others = resources.filter((resource) => includedTypes.some((type) => type === typeOf(resource)));
  const entries = Array.from({ length: 10 }, () => {
    const isIncluded = roll() < 0.6;
    const among = isIncluded && roll() < 0.9 ? others : rows;
    const text = ofPatientOne(among[Math.floor(roll() * among.length)] ?? first, roll);
    const resource = roll() < 0.2 ? mutate(text, roll) : text;
    const mode = (roll() < 0.95 ? isIncluded : !isIncluded) ? "include" : "match";
    return isJson(resource)
      ? entryOf(resource, roll, `{"mode":"${mode}"}`)
      : entryOf(text, roll, '{"mode":"match"}');
  });
  for (const entry of entries) {
    const outcome = twins.entry(entry, "Observation");
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  const read = new Twins(grant).page(entries, "Observation", [Math.floor(roll() * 1e6)]);
  return counts.set("ahead", read);
}
