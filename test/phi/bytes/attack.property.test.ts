import { RowBarrier } from "#fhir/row-barrier";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readEntry } from "#fhir/bundle";
import { EntrySplitter, type EntryBytes } from "#fhir/json/entry-splitter";
import { readInteraction, isListing, isReading } from "#fhir/interaction";
import { textAt, type Json, type JsonObject } from "#fhir/json/json";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { isCut } from "#phi/bytes/entry-cutter";
import type { CutEntry } from "#phi/bytes/row-cutter";
import { Discloser, type DisclosedEntry } from "#phi/disclose";
import type { Joined } from "#phi/row-views";
import { Residences } from "#residence/row-residences";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { evaluateListing } from "#policy/evaluate-listing";
import type { Grant } from "#policy/grant";
import type { PolicyDocument, PolicyRule } from "#policy/schema";
import { mutatedRow } from "../../policy/mutated-row.ts";
import { decide, origin, policy, rule } from "../../policy/granting.ts";
import { patients, policyOf, requestOf, scopesOf, Tape, worldOf } from "../../policy/small-world.ts";
import { inLane } from "../../support/lane.ts";
import { dice } from "../random-resource.ts";
import { spelled } from "./hostile-spelling.ts";

const gateway = "https://api.example/v1/fhir/main";
const utf8 = (text: string) => new TextEncoder().encode(text);

/** An answer by one of the engines, in every field that leaves or is recorded. */
class Twin {
  readonly #discloser: Discloser;
  readonly #residences = new Residences(instant(0));

  constructor(grant: Grant, engine: "bytes" | "plain") {
    const bases = {
      origin,
      public: gateway,
      name: "main",
      residences: this.#residences,
      barrier: new RowBarrier(),
    };
    this.#discloser = new Discloser(grant, bases, joinedBy(grant), engine);
  }

  entry(bytes: EntryBytes | CutEntry, type: string): string {
    const decided = this.#discloser.entry(bytes, type);
    return this.#with(decided.ok ? described(decided.value) : decided.error);
  }

  /** The outcomes of the entries of a Bundle whose bytes arrive in these chunks; the refusal comes last. */
  page(chunks: readonly Uint8Array[], type: string, asksKey: (index: number) => boolean): readonly string[] {
    const outcomes: string[] = [];
    const part = () => (asksKey(outcomes.length) ? "key" : "row");
    const [splitter, ahead] = [new EntrySplitter(), this.#discloser.ahead(type, part)];
    const take = (entry: EntryBytes | CutEntry) => {
      if (part() === "row") outcomes.push(this.entry(entry, type));
      else outcomes.push(isCut(entry) ? entry.id : idOf(entry));
      return undefined;
    };
    for (const chunk of chunks) {
      const read = splitter.read(chunk, take, ahead);
      if (!read.ok) return [...outcomes, read.error.reason];
    }
    const end = splitter.end();
    return [...outcomes, end.ok ? textOf(end.value) : end.error.reason];
  }

  read(bytes: Uint8Array, type: string, id: string): string {
    const read = this.#discloser.read(bytes, type, id);
    if (!read.ok) return this.#with(read.error);
    const windows = read.value.windows.map((window) => ({ ...window, body: textOf(window.body) }));
    return this.#with({ ...read.value, windows, released: [...read.value.released] });
  }

  #with(outcome: unknown): string {
    return JSON.stringify([outcome, patients.map((patient) => this.#residences.of(patient) ?? "")]);
  }
}

/** The key of an entry that is asked for without a decision. */
function idOf(bytes: EntryBytes): string {
  const entry = readEntry(bytes);
  if (!entry.ok) return entry.error.reason;
  return "resource" in entry.value ? (textAt(entry.value.resource, "id") ?? "") : entry.value.mode;
}

/** Some results of the joins of a search. */
const joinedBy = ({ expects }: Grant): readonly Joined[] =>
  expects.kind === "search"
    ? expects.joins.map(({ kind, by }) => ({
        paths: kind === "chain" ? (by.paths ?? []) : undefined,
        among: new Set(["Patient/ann", "Practitioner/vera", "Encounter/e1", "Observation/o1", "Patient/ben"]),
      }))
    : [];

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function described(entry: DisclosedEntry): unknown {
  if (entry.kind !== "match" && entry.kind !== "include") return entry.kind;
  const { kind, released, shown, links } = entry;
  const { type, id, text, patients: named, unseen, room, unnamed, withheld, records } = released;
  const counted = { room, unnamed, withheld, records };
  const [names, targets] = [[...named], links.map((each) => Array.from(each))];
  return { kind, type, id, text: textOf(text), names, unseen: [...unseen], counted, shown, targets };
}

/** The policy, with conditions on the elements that a row may lack or state in a wrong form. */
function conditioned(document: PolicyDocument, tape: Tape): PolicyDocument {
  const rules = document.rules.map((one): PolicyRule => {
    const further = tape.of<NonNullable<PolicyRule["where"]>[number] | undefined>(
      undefined,
      undefined,
      { path: "meta.security", notIn: ["http://terminology.hl7.org/CodeSystem/v3-Confidentiality|N"] },
      { path: "meta.tag", notIn: ["urn:c|lab"] },
      { path: "meta.security", in: ["http://terminology.hl7.org/CodeSystem/v3-Confidentiality|N"] },
    );
    return further === undefined ? one : { ...one, where: [...(one.where ?? []), further] };
  });
  return { ...document, rules };
}

/** Grants for the rows of one type, as a request of a small world leads to them. */
function grantOf(tape: Tape, world: ReturnType<typeof worldOf>): { grant: Grant; type: string } | undefined {
  const scopes = parseScopes(scopesOf(tape).join(" "));
  if (!scopes.ok) throw new Error("a test's own mistake");
  const access = {
    scopes: scopes.value,
    patient: tape.of(...patients),
    usersPatients: new Set(tape.some(patients)),
  };
  const compiled = compilePolicy(conditioned(policyOf(tape), tape), "sha256:test");
  const [path = "", query = ""] = requestOf(tape, world).split("?", 2);
  const interaction = readInteraction("GET", path.split("/"), query);
  if (!interaction.ok) return undefined;
  if (isReading(interaction.value)) {
    const granted = evaluate(compiled, access, interaction.value);
    return granted.ok ? { grant: granted.value, type: interaction.value.type } : undefined;
  }
  if (!isListing(interaction.value)) return undefined;
  const granted = evaluateListing(compiled, access, interaction.value);
  if (!granted.ok) return undefined;
  switch (granted.value.kind) {
    case "history":
      return { grant: granted.value.read, type: granted.value.type };
    case "lastn":
      return { grant: granted.value.search, type: "Observation" };
    case "everything": {
      const [type, rows] = [...granted.value.rows].at(tape.below(granted.value.rows.size)) ?? [];
      return type === undefined || rows === undefined ? undefined : { grant: rows.search, type };
    }
  }
}

const tapes = fc.integer().map(tapeOf);
/**
 * Seeds whose worlds have rows of each outcome: more than half of all worlds grant nothing that could be compared. A
 * change of the small world may make it necessary to choose different seeds.
 */
const seedsWithRows: [seed: number, faults: boolean][] = [
  [2_147_483_625, false],
  [2_079_928_142, true],
];
function tapeOf(seed: number): Tape {
  const roll = dice(seed);
  return new Tape(Array.from({ length: 4_000 }, () => Math.floor(roll() * 10_000)));
}

/** A row of the world: as it is, or with members that decisions read replaced. */
function hostileRow(tape: Tape, world: ReturnType<typeof worldOf>, type: string): JsonObject {
  const ofType = world.filter(({ now }) => now.resourceType === type);
  const some = ofType.length > 0 && tape.below(8) > 0 ? ofType : world;
  const row: JsonObject = some[tape.below(some.length)]?.now ?? {};
  const mutated = tape.below(3) === 0 ? row : mutatedRow(row, tape);
  return tape.below(8) === 1 ? { ...mutated, ...unusualMembers(tape) } : mutated;
}

/** Members at the limits of the engine: long texts, deep values, many names, names of one hash. */
function unusualMembers(tape: Tape): JsonObject {
  const length = tape.of(16_384, 65_536) + tape.below(200) - 100;
  const text = `${"x".repeat(length)}${tape.of("", `${origin}/Patient/ann`, "\u00e9", "\ud800", "%41", '"')}`;
  let deep: Json = "end";
  for (let depth = 88 + tape.below(14); depth > 0; depth -= 1) deep = tape.below(2) === 1 ? [deep] : { deep };
  return tape.of<JsonObject>(
    { note: [{ text }] },
    { [text.slice(0, 1_000)]: text },
    { hidden: deep },
    { extension: [{ url: "urn:ext", extension: deep }] },
    { Aa: 1, BB: [{ Aa: { BB: 2 } }] } as object as JsonObject,
    Object.fromEntries(Array.from({ length: 120 + tape.below(20) }, (_, index) => [`m${index}`, true])),
    { constructor: { prototype: null }, toString: [], "": "", "\u00e9": "\u0000" },
    { subject: { reference: "Patient/ann", type: text }, performer: [{ display: text }] },
  );
}

test("whatever an origin writes, the byte engine releases, records and refuses what the plain engine does", () => {
  let [matches, hidden, reads] = [0, 0, 0];
  fc.assert(
    fc.property(fc.integer(), fc.boolean(), (seed, faults) => {
      const tape = tapeOf(seed);
      const world = worldOf(tape);
      const granted = grantOf(tape, world);
      if (granted === undefined) return;
      const { grant, type } = granted;
      const [fast, plain] = [new Twin(grant, "bytes"), new Twin(grant, "plain")];
      for (let rows = 10; rows > 0; rows -= 1) {
        const row = hostileRow(tape, world, type);
        const text = spelled(row, tape, faults);
        const search = tape.of("", "", ',"search":{"mode":"match"}', ',"search":{"mode":"include"}');
        const bytes = utf8(
          tape.below(2) === 1
            ? `{"fullUrl":"urn:x","resource":${text}${search}}`
            : `{"x":{"resource":1}${search},"resource":${text}}`,
        );
        const said = plain.entry(bytes, type);
        expect(fast.entry(bytes, type), textOf(bytes)).toBe(said);
        if (said.startsWith('[{"kind":"match"')) matches += 1;
        if (said.startsWith('["hidden"')) hidden += 1;
        const id = tape.below(5) > 0 ? (textAt(row, "id") ?? "x") : "other";
        const read = plain.read(utf8(text), type, id);
        expect(fast.read(utf8(text), type, id), text).toBe(read);
        if (read.startsWith('[{"windows"')) reads += 1;
      }
    }),
    { numRuns: inLane({ fast: 40, slow: 600, long: 3_000 }), examples: seedsWithRows },
  );
  // Each kind of outcome was compared.
  expect(Math.min(matches, hidden, reads)).toBeGreaterThan(inLane({ fast: 0, slow: 10, long: 10 }));
});

test("a `meta` of null is a fact: no rule for rows without a label covers the row", () => {
  const labelled = rule(["Observation"], ["status"], {
    where: [{ path: "meta.security", notIn: ["http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R"] }],
  });
  for (const [meta, outcome] of [
    ["null", "hidden"],
    ['{"security":null}', "hidden"],
    ["{}", "match"],
  ] as const) {
    const text = `{"resource":{"resourceType":"Observation","id":"o1","meta":${meta},"status":"final"}}`;
    for (const engine of ["bytes", "plain"] as const) {
      const grant = decide(policy(labelled), "Observation?_id=o1");
      if ("reason" in grant) throw new Error(grant.reason);
      expect(new Twin(grant, engine).entry(utf8(text), "Observation"), meta).toContain(`"${outcome}"`);
    }
  }
});

test("a page has the same outcomes at every chunk boundary, by both engines", () => {
  let compared = 0;
  fc.assert(
    fc.property(fc.integer(), fc.boolean(), (seed, faults) => {
      const tape = tapeOf(seed);
      const world = worldOf(tape);
      const granted = grantOf(tape, world);
      if (granted === undefined) return;
      const { grant, type } = granted;
      const entries = Array.from({ length: 4 }, () => {
        const search = tape.of("", ',"search":{"mode":"match"}', ',"search":{"mode":"outcome"}');
        return `{"resource":${spelled(hostileRow(tape, world, type), tape, faults && tape.below(3) === 1)}${search}}`;
      });
      const space = tape.of("", " ", "\n\t");
      const body = utf8(`{"resourceType":"Bundle","entry":[${space}${entries.join(`,${space}`)}${space}]}`);
      const keys = tape.below(3) === 1 ? tape.below(4) : 4;
      const asksKey = (index: number) => index >= keys;
      const said = new Twin(grant, "plain").page([body], type, asksKey);
      compared += said.length;
      const step = Math.max(1, Math.floor(body.length / 40));
      const cuts = [0, ...Array.from({ length: 40 }, (_, index) => index * step + tape.below(step))];
      for (const at of cuts) {
        const chunks = [body.subarray(0, at), body.subarray(at)];
        const again = new Twin(grant, "bytes").page(chunks, type, asksKey);
        expect(again, `${at}: ${textOf(body)}`).toEqual(said);
      }
      const small = 1 + tape.below(60);
      const many = Array.from({ length: Math.ceil(body.length / small) }, (_, index) =>
        body.subarray(index * small, (index + 1) * small),
      );
      expect(new Twin(grant, "bytes").page(many, type, asksKey), textOf(body)).toEqual(said);
    }),
    { numRuns: inLane({ fast: 6, slow: 100, long: 300 }), examples: seedsWithRows },
  );
  expect(compared).toBeGreaterThan(0);
});

test("long entries among short entries have the outcome of the plain engine, in chunks and whole", () => {
  const grant = decide(policy(rule(["Observation"], ["status", "note"])), "Observation?_id=1");
  if ("reason" in grant) throw new Error(grant.reason);
  const observation = (id: string, length: number, byte = "n") =>
    `{"resource":{"resourceType":"Observation","id":"${id}","note":[{"text":"${byte.repeat(length)}"}],"status":"final"}}`;
  const all = [10, 1_048_400, 1_048_700, 600_000, 5, 8_388_500, 8_388_608, 7];
  const lengths = inLane({ fast: [10, 1_048_700, 8_388_500, 7], slow: all, long: all });
  const entries = lengths.map((length, index) => observation("1", length, index === 1 ? "~" : "n"));
  const body = utf8(`{"resourceType":"Bundle","entry":[${entries.join()}]}`);
  const said = new Twin(grant, "plain").page([body], "Observation", () => false);
  expect(said.map((outcome) => outcome.slice(0, 10))).toHaveLength(lengths.length + 1);
  const sizes = [65_536, 1_048_576, 700_001];
  for (const size of inLane({ fast: sizes.slice(0, 1), slow: sizes, long: sizes })) {
    const chunks = Array.from({ length: Math.ceil(body.length / size) }, (_, index) =>
      body.subarray(index * size, (index + 1) * size),
    );
    const again = new Twin(grant, "bytes").page(chunks, "Observation", () => false);
    expect(again.map((outcome, index) => outcome === said[index])).toEqual(said.map(() => true));
  }
});

test("entries are the same at every chunk boundary", () => {
  fc.assert(
    fc.property(tapes, (tape) => {
      const world = worldOf(tape);
      const rows = [1, 2, 3].map(() => spelled(hostileRow(tape, world, "Observation"), tape, false));
      const bundle = utf8(
        `{"resourceType":"Bundle","entry" : [ ${rows.map((row) => `{"resource":${row}}`).join(" ,")} ]}`,
      );
      const whole = entriesIn([bundle]);
      expect(whole.map(textOf)).toEqual(rows.map((row) => `{"resource":${row}}`));
      const step = Math.max(1, Math.floor(bundle.length / 60));
      for (let at = 1 + tape.below(step); at < bundle.length; at += step)
        expect(entriesIn([bundle.subarray(0, at), bundle.subarray(at)])).toEqual(whole);
    }),
    { numRuns: inLane({ fast: 4, slow: 30, long: 60 }) },
  );
});

function entriesIn(chunks: readonly Uint8Array[]): readonly Uint8Array[] {
  const splitter = new EntrySplitter();
  return chunks.flatMap((chunk) => {
    const pushed = splitter.push(chunk);
    if (!pushed.ok) throw new Error(pushed.error.reason);
    return pushed.value.flatMap((entry) => (entry === "too_large" ? [] : [entry]));
  });
}
