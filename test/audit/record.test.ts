import { encode, rfc8949EncodeOptions } from "cborg";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { test } from "vitest";
import { accountingLines, isAccountable, readLine, subjectKey, subjectOf } from "#audit/accounting/line";
import { readEvent } from "#audit/check";
import { configurationEvent, configurationOf } from "#audit/configuration";
import type { AuditEvent } from "#audit/event";
import { decodeRecord, encodeRecord } from "#audit/record";
import { splitEvent } from "#audit/split";
import { worstCase } from "#audit/worst-case";
import { stateBytesMax } from "#residence/residence";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { fromCborMap, toCbor } from "#ledger/bytes/cbor";
import { lineSalt, linesRoot } from "#ledger/leaf/lines";
import { PLAINTEXT_BYTES_MAX } from "#ledger/leaf/padding";
import { allRefusals } from "#entrypoint/all-refusals";
import { inLane } from "../support/lane.ts";

const seed = new Uint8Array(32).fill(7);
const name = fc.stringMatching(/^[a-zA-Z0-9-]{1,20}$/);
const counts = fc.dictionary(fc.stringMatching(/^[A-Z][A-Za-z]{0,15}$/), fc.nat(), { maxKeys: 4 });
const text = fc.string({ minLength: 1, maxLength: 60, unit: "grapheme" });
const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
const state = fc.oneof(
  fc.constantFrom("MA", "outside US"),
  fc
    .string({ minLength: 1, maxLength: stateBytesMax, unit: "grapheme" })
    .filter((text) => Buffer.byteLength(text) <= stateBytesMax),
);
const event: fc.Arbitrary<AuditEvent> = fc.record(
  {
    id: fc.stringMatching(/^[0-9a-f]{32}$/),
    at: fc.nat().map((ms) => instant(ms)),
    kind: fc.constantFrom("disclosure", "refusal", "token", "from-the-future"),
    step: fc.nat({ max: 1000 }),
    who: fc.record(
      {
        client: fc.oneof(text, fc.constant("telehealth")),
        certificate: fc.oneof(text, fc.uint8Array({ minLength: 32, maxLength: 32 }).map(base64url)),
        issuer: text,
        tokenId: fc.oneof(text, fc.stringMatching(/^[0-9a-f]{32}$/)),
        keyId: text,
        subject: text,
        user: text,
        patient: text,
      },
      { requiredKeys: [] },
    ),
    from: fc.record({ address: text, country: text }, { requiredKeys: [] }),
    what: fc.record(
      {
        interaction: text,
        origin: fc.oneof(text, fc.constant("main")),
        type: fc.oneof(text, fc.constant("Patient")),
        id: fc.oneof(text, fc.constant("a")),
        parameters: fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 3 }),
        method: text,
        path: fc.oneof(text, fc.constantFrom("Patient", "Patient/a", "Patient/undefined")),
      },
      { requiredKeys: [] },
    ),
    why: fc.record(
      {
        purposes: fc.array(fc.oneof(name, fc.constant("TREAT")), { maxLength: 3 }),
        agreement: text,
        policy: fc.oneof(text, fc.stringMatching(/^sha256:[0-9a-f]{64}$/)),
        grant: fc.oneof(text, fc.constant("telehealth/main/TREAT")),
      },
      { requiredKeys: [] },
    ),
    outcome: fc.record({ status: fc.nat(), reason: text }, { requiredKeys: [] }),
    patients: fc.uniqueArray(
      fc.record(
        { patient: name.map((id) => `main/Patient/${id}`), counts, state },
        { requiredKeys: ["patient", "counts"] },
      ),
      { maxLength: 5, selector: (one) => one.patient },
    ),
    unnamed: fc.array(text, { maxLength: 3 }),
    counts,
    withheld: fc.record(
      { paths: fc.array(text, { maxLength: 3 }), resources: fc.nat() },
      { requiredKeys: [] },
    ),
    window: fc.record({ number: fc.nat(), complete: fc.boolean() }, { requiredKeys: [] }),
    traceId: text,
    tally: fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,15}$/), fc.nat(), { maxKeys: 4 }),
  },
  { requiredKeys: ["id", "at", "kind", "patients", "unnamed", "counts"] },
);

/** The event without empty parts: absent fields, empty groups, step 0. */
const plain = (one: AuditEvent): unknown =>
  Object.fromEntries(
    Object.entries(one).filter(
      ([field, value]) =>
        value !== undefined &&
        !(field === "step" && value === 0) &&
        !(isGroup(field) && Object.keys(value).length === 0),
    ),
  );
const isGroup = (field: string): boolean =>
  ["who", "from", "what", "why", "outcome", "withheld", "window"].includes(field);

test("the authority of a job is 16 bytes under key 38, and a record without any has no such key", ({
  expect,
}) => {
  const job: AuditEvent = {
    id: "0".repeat(32),
    at: instant(1),
    kind: "disclosure",
    authority: "0a".repeat(16),
    patients: [],
    unnamed: [],
    counts: {},
  };
  const record = encodeRecord(job, 1, 1, seed);
  expect(fromCborMap(record)?.get(38)).toEqual(new Uint8Array(16).fill(10));
  expect(decodeRecord(record)).toMatchObject({ ok: true, value: { event: { authority: job.authority } } });
  const { authority: _authority, ...live } = job;
  expect(fromCborMap(encodeRecord(live, 1, 1, seed))?.has(38)).toBe(false);
  for (const authority of ["0a", "0A".repeat(16), 7]) expect(readEvent({ ...job, authority }).ok).toBe(false);
});

test("a record reads back as the event that was written, with its part and its seed", ({ expect }) => {
  fc.assert(
    fc.property(event, (one) => {
      const record = decodeRecord(encodeRecord(one, 2, 3, seed));
      expect(record.ok && plain(record.value.event)).toEqual(plain(one));
      expect(record).toMatchObject({ ok: true, value: { part: 2, parts: 3, seed } });
    }),
  );
});

const shortened: AuditEvent = {
  id: "0".repeat(32),
  at: instant(1),
  kind: "refusal",
  who: { client: "telehealth", certificate: base64url(seed), tokenId: "0a".repeat(16) },
  what: { origin: "main", type: "Patient", id: "a", path: "Patient/a" },
  why: { purposes: ["TREAT"], policy: `sha256:${"0b".repeat(32)}`, grant: "telehealth/main/TREAT" },
  patients: [],
  unnamed: [],
  counts: {},
};

const digest = fc.stringMatching(/^[0-9a-f]{64}$/);
const decision: fc.Arbitrary<NonNullable<AuditEvent["decision"]>> = fc.oneof(
  fc.record({
    by: fc.constant("consent"),
    consentDigest: digest,
    place: fc
      .array(fc.nat({ max: 9_999 }), { maxLength: 4 })
      .map((at) => ["provision", ...at.map((index) => `provision[${index}]`)].join(".")),
  }),
  fc.record({ by: fc.constant("consent"), consentDigest: digest, place: fc.constant("modifierExtension") }),
  fc.record({ by: fc.constant("label"), place: fc.constantFrom("PSY", "x".repeat(58)) }),
  fc.record({ by: fc.constant("policy"), place: fc.constantFrom("/rules/2", "/dataPeriod") }),
  fc.constant({ by: "scope" }),
);

test("what decided a refusal reads back as it was written, also a word of a later version", ({ expect }) => {
  const later = fc.constant({ by: "later", place: "/x" });
  fc.assert(
    fc.property(event, fc.oneof(decision, later), (one, decision) => {
      const record = decodeRecord(encodeRecord({ ...one, kind: "refusal", decision }, 1, 1, seed));
      expect(record.ok && record.value.event.decision).toEqual(decision);
    }),
    { numRuns: inLane({ fast: 30, slow: 200, long: 2_000 }) },
  );
  // frozen bytes: what a Consent decided needs few of them
  const bytes = encodeRecord(
    {
      ...shortened,
      decision: {
        by: "consent",
        consentDigest: "0c".repeat(32),
        place: "provision.provision[1].provision[2]",
      },
    },
    1,
    1,
    seed,
  );
  expect(Buffer.from(bytes).toString("hex")).toContain(`1821a3025820${"0c".repeat(32)}0400054400010002`);
  const elsewhere = encodeRecord({ ...shortened, kind: "notice", decision: { by: "scope" } }, 1, 1, seed);
  expect(decodeRecord(elsewhere)).toEqual({ ok: false, error: "bad_record" });
});

// Frozen bytes.
test("a digest, a token id, a path and a grant have their short forms, and read back as the same texts", ({
  expect,
}) => {
  const bytes = encodeRecord(shortened, 1, 1, seed);
  expect(Buffer.from(bytes).toString("hex")).toBe(
    "aa0101025000000000000000000000000000000000030104677265667573616c06010701085820" +
      "07".repeat(32) +
      "09a3016a74656c656865616c74680d5820" +
      "07".repeat(32) +
      "0e50" +
      "0a".repeat(16) +
      "0ba402646d61696e036750617469656e740461610801" +
      "0ca30181655452454154055820" +
      "0b".repeat(32) +
      "06f5",
  );
  expect(readFileSync("docs/ledger-format.md", "utf8")).toContain(
    `\`${Buffer.from(bytes).toString("hex")}\``,
  );
  const record = decodeRecord(bytes);
  expect(record.ok && record.value.event).toEqual(shortened);
  const map = new Map(fromCborMap(bytes));
  const group = (key: number) => new Map(map.get(key) as ReadonlyMap<number, unknown>); // a group of the record
  expect([9, 11, 12].map((key) => Array.from(group(key).keys()))).toEqual([
    [1, 13, 14],
    [2, 3, 4, 8],
    [1, 5, 6],
  ]);
  const type = decodeRecord(
    encodeRecord({ ...shortened, what: { type: "Patient", path: "Patient" } }, 1, 1, seed),
  );
  expect(type.ok && type.value.event.what).toEqual({ type: "Patient", path: "Patient" });
});

test("a record with a text and its short form, or with a short form of another value, is invalid", ({
  expect,
}) => {
  const map = new Map(fromCborMap(encodeRecord(shortened, 1, 1, seed)));
  const readWith = (group: number, ...entries: readonly (readonly [number, unknown])[]) => {
    const changed = new Map(map.get(group) as ReadonlyMap<number, unknown>); // a group of the record
    for (const [key, value] of entries) changed.set(key, value);
    const record = decodeRecord(
      toCbor(new Map([...map, [group, new Map([...changed].toSorted(([a], [b]) => a - b))]])),
    );
    return record.ok ? "ok" : record.error;
  };
  expect(readWith(9, [13, new Uint8Array(32)])).toBe("ok");
  for (const [group, ...entries] of [
    [9, [13, new Uint8Array(31)]],
    [9, [13, base64url(seed)]],
    [9, [2, base64url(seed)]],
    [9, [14, new Uint8Array(15)]],
    [9, [4, "0a".repeat(16)]],
    [11, [8, 0]],
    [11, [8, 3]],
    [11, [8, true]],
    [11, [7, "Patient/a"]],
    [12, [5, `sha256:${"0b".repeat(32)}`]],
    [12, [3, `sha256:${"0b".repeat(32)}`]],
    [12, [6, false]],
    [12, [6, 1]],
    [12, [4, "telehealth/main/TREAT"]],
  ] as const)
    expect(readWith(group, ...entries), JSON.stringify([group, entries])).toBe("bad_record");
  const without = (group: number, field: number) => {
    const changed = new Map(map.get(group) as ReadonlyMap<number, unknown>); // a group of the record
    changed.delete(field);
    const record = decodeRecord(toCbor(new Map([...map, [group, changed]])));
    return record.ok ? "ok" : record.error;
  };
  // the fields from which a short form gives its text
  for (const [group, field] of [
    [9, 1],
    [11, 2],
    [11, 3],
    [11, 4],
    [12, 1],
  ] as const)
    expect(without(group, field), `${group}.${field}`).toBe("bad_record");
});

test("a record with the texts of before reads as before", ({ expect }) => {
  const long = new Map(fromCborMap(encodeRecord(shortened, 1, 1, seed)));
  long.set(
    9,
    new Map<number, unknown>([
      [1, "telehealth"],
      [2, base64url(seed)],
      [4, "0a".repeat(16)],
    ]),
  );
  long.set(
    11,
    new Map<number, unknown>([
      [2, "main"],
      [3, "Patient"],
      [4, "a"],
      [7, "Patient/a"],
    ]),
  );
  long.set(
    12,
    new Map<number, unknown>([
      [1, ["TREAT"]],
      [3, `sha256:${"0b".repeat(32)}`],
      [4, "telehealth/main/TREAT"],
    ]),
  );
  const record = decodeRecord(toCbor(long));
  expect(record.ok && record.value.event).toEqual(shortened);
});

test("a configuration reads back whole, and is refused when its digest is not its own", ({ expect }) => {
  fc.assert(
    fc.property(fc.dictionary(name, fc.string({ unit: "grapheme" })), (settings) => {
      const one = configurationEvent(
        configurationOf("gateway", Object.entries(settings)),
        "0".repeat(32),
        instant(1),
      );
      const record = decodeRecord(encodeRecord(one, 1, 1, seed));
      expect(record.ok && record.value.event).toEqual(one);
      const forged = {
        ...one,
        configuration: configurationOf("gateway", [...Object.entries(settings), ["more", ""]]),
      };
      const digest = one.configuration?.digest ?? "";
      expect(readEvent({ ...forged, configuration: { ...forged.configuration, digest } })).toMatchObject({
        ok: false,
      });
    }),
  );
});

test("a record keeps every character, also a byte order mark at the front and half a surrogate pair as U+FFFD", ({
  expect,
}) => {
  const path = `\ufeffPatient/${"x".repeat(40)}`;
  const one: AuditEvent = {
    id: "0".repeat(32),
    at: instant(1),
    kind: "refusal",
    what: { path },
    patients: [],
    unnamed: [],
    counts: {},
  };
  const record = decodeRecord(encodeRecord(one, 1, 1, seed));
  expect(record.ok && record.value.event.what?.path).toBe(path);
  const half = decodeRecord(encodeRecord({ ...one, what: { path: "a\ud800" } }, 1, 1, seed));
  expect(half.ok && half.value.event.what?.path).toBe("a\ufffd");
});

test("keys of a later version are kept, a later format is refused, broken bytes never throw", ({
  expect,
}) => {
  const one: AuditEvent = {
    id: "0".repeat(32),
    at: instant(1),
    kind: "refusal",
    patients: [],
    unnamed: [],
    counts: {},
  };
  const map = new Map(fromCborMap(encodeRecord(one, 1, 1, seed)));
  const later = decodeRecord(toCbor(new Map([...map, [99, "later"]])));
  expect(later.ok && later.value.unknown).toEqual(new Map([[99, "later"]]));
  const nested = new Map<number, unknown>([[1, [true, null, new Uint8Array(2)]]]);
  const more = decodeRecord(toCbor(new Map([...map, [99, nested], [1000, new Map([["Patient", 1]])]])));
  expect(more.ok && more.value.unknown.get(99)).toEqual(nested);
  for (const [key, value] of [
    [-1, 1],
    [99, 1.5],
    ["later", 1],
  ] as const) {
    const other = encode(new Map<unknown, unknown>([...map, [key, value]]), rfc8949EncodeOptions);
    expect(decodeRecord(other), String(key)).toEqual({
      ok: false,
      error: "bad_record",
    });
  }
  expect(decodeRecord(toCbor(new Map([...map, [1, 2]])))).toEqual({
    ok: false,
    error: "unknown_record_version",
  });
  fc.assert(fc.property(fc.uint8Array(), (bytes) => !decodeRecord(bytes).ok));
});

test("states match their patients or are absent: a record that violates this is invalid, and a record without states reads as before", ({
  expect,
}) => {
  const patients = [
    { patient: "main/Patient/a", counts: {}, state: "MA" },
    { patient: "main/Patient/b", counts: { Observation: 1 } },
  ];
  const one: AuditEvent = {
    id: "0".repeat(32),
    at: instant(1),
    kind: "refusal",
    patients,
    unnamed: [],
    counts: {},
  };
  const map = new Map(fromCborMap(encodeRecord(one, 1, 1, seed)));
  expect(map.get(21)).toEqual(["MA", null]);
  const without = patients.map(({ patient, counts }) => ({ patient, counts }));
  const patientsOf = (states: unknown) => {
    const record = decodeRecord(toCbor(new Map([...map, [21, states]])));
    return record.ok ? record.value.event.patients : record.error;
  };
  expect(patientsOf([null, "outside US"])).toEqual([without[0], { ...without[1], state: "outside US" }]);
  for (const states of [
    ["MA"],
    ["MA", null, null],
    "MA",
    ["MA", 1],
    ["MA", ""],
    ["MA", "x".repeat(stateBytesMax + 1)],
    null,
  ])
    expect(patientsOf(states), JSON.stringify(states)).toBe("bad_record");
  const old = decodeRecord(encodeRecord({ ...one, patients: without }, 1, 1, seed));
  expect([
    old.ok && old.value.event.patients,
    new Map(fromCborMap(encodeRecord({ ...one, patients: without }, 1, 1, seed))).has(21),
  ]).toEqual([without, false]);
  expect(decodeRecord(toCbor(new Map([...map].filter(([key]) => key !== 14)))), "states of nobody").toEqual({
    ok: false,
    error: "bad_record",
  });
});

test("an event from outside is read whole or refused by the name of its field, and never throws", ({
  expect,
}) => {
  fc.assert(fc.property(event, (one) => readEvent(one).ok));
  fc.assert(fc.property(fc.anything(), (value) => !readEvent(value).ok));
  fc.assert(
    fc.property(
      event,
      fc.constantFrom("id", "at", "kind", "patients", "unnamed", "counts", "step", "who", "what", "traceId"),
      fc.constantFrom(null, -1, [0], false, { x: "1" }),
      (one, field, bad) => {
        const read = readEvent({ ...one, [field]: bad });
        expect(read.ok ? "" : read.error.field).toContain(field);
      },
    ),
  );
});

const big = (patients: number, unnamed = 0, types = 2): AuditEvent => ({
  id: "a".repeat(32),
  at: instant(1_790_000_000_000),
  kind: "disclosure",
  who: { client: "telehealth" },
  what: { interaction: "search-type", parameters: [["code", "x".repeat(2000)]] },
  why: { purposes: ["TREAT"] },
  patients: Array.from({ length: patients }, (_, i) => ({
    patient: `main/Patient/00000000-0000-4000-8000-${String(i).padStart(12, "0")}`,
    counts: Object.fromEntries(Array.from({ length: types }, (_, t) => [`ResourceType${"X".repeat(t)}`, i])),
  })),
  unnamed: Array.from({ length: unnamed }, (_, i) => `main/Organization/${i}`),
  counts: { Patient: patients },
  withheld: { paths: ["Patient.name"] },
});

test("an event of any number of patients splits into records that each fit, name at most 500, and together name all", ({
  expect,
}) => {
  for (const [patients, unnamed, types] of [
    [1, 0, 2],
    [500, 0, 2],
    [501, 0, 2],
    [3000, 0, 2],
    [600, 0, 40],
    [0, 5000, 1],
    [700, 700, 20],
  ] as const) {
    const one = big(patients, unnamed, types);
    const parts = splitEvent(one);
    if (!parts.ok) return expect.fail(parts.error);
    expect(parts.value.flatMap((part) => part.patients)).toEqual(one.patients);
    expect(parts.value.flatMap((part) => part.unnamed)).toEqual(one.unnamed);
    for (const [i, part] of parts.value.entries()) {
      expect(part.patients.length).toBeLessThanOrEqual(500);
      expect(encodeRecord(part, i + 1, parts.value.length, seed).length).toBeLessThanOrEqual(
        PLAINTEXT_BYTES_MAX,
      );
      expect(part).toMatchObject({ id: one.id, who: one.who, why: one.why });
      expect(part.withheld === undefined).toBe(i > 0);
    }
  }
  expect(
    splitEvent({ ...big(1), withheld: { paths: Array.from({ length: 400 }, () => "x".repeat(2000)) } }),
  ).toEqual({
    ok: false,
    error: "event_too_large",
  });
});

test("whatever is known of where its patients live, an event splits into records that each fit, and that read back with it", ({
  expect,
}) => {
  const crowd = fc.tuple(
    fc.integer({ min: 1, max: 1_100 }),
    fc.integer({ min: 1, max: 6 }),
    fc.array(fc.option(state), { minLength: 1, maxLength: 7 }),
  );
  fc.assert(
    fc.property(crowd, ([patients, types, states]) => {
      const whole = big(patients, 0, types);
      const one = {
        ...whole,
        patients: whole.patients.map((named, i) => {
          const said = states[i % states.length] ?? undefined;
          const patient = named.patient.padEnd(77, "x");
          return said === undefined ? named : { patient, counts: named.counts, state: said };
        }),
      };
      const parts = splitEvent(one);
      if (!parts.ok) return expect.fail(parts.error);
      const read = parts.value.flatMap((part, i) => {
        const bytes = encodeRecord(part, i + 1, parts.value.length, seed);
        expect(bytes.length).toBeLessThanOrEqual(PLAINTEXT_BYTES_MAX);
        const record = decodeRecord(bytes);
        return record.ok ? record.value.event.patients : [];
      });
      expect(read).toEqual(one.patients);
    }),
    { numRuns: inLane({ fast: 25, slow: 60, long: 60 }) },
  );
});

test("only a disclosure makes accounting lines, one a patient, and it must name recipient and purpose", ({
  expect,
}) => {
  const key = new Secret(new Uint8Array(32).fill(3));
  expect(accountingLines(big(3), key)).toHaveLength(3);
  const located = {
    ...big(3),
    patients: big(3).patients.map(({ patient, counts }) => ({ patient, counts, state: "MA" })),
  };
  expect(accountingLines(located, key), "a line never says where its patient lives").toEqual(
    accountingLines(big(3), key),
  );
  expect(accountingLines({ ...big(3), kind: "refusal" }, key)).toEqual([]);
  expect(accountingLines({ ...big(3), kind: "from-the-future" }, key)).toEqual([]);
  expect(isAccountable(big(1))).toBe(true);
  expect(isAccountable({ ...big(1), who: {} })).toBe(false);
  expect(isAccountable({ ...big(1), why: { purposes: [] } })).toBe(false);
  expect(isAccountable({ ...big(1), kind: "from-the-future" })).toBe(false);
  expect(isAccountable({ ...big(1), kind: "toString" })).toBe(false);
});

// Frozen bytes: made here once, checked by the standard library of a different language
// (docs/ledger-format.md, "Test vector").
test("the bytes of a line, its salt and its commitment do not change", ({ expect }) => {
  const key = new Secret(new Uint8Array(32).fill(3));
  const [line = new Uint8Array()] = accountingLines(
    { ...big(1), patients: [{ patient: "main/Patient/a", counts: { Observation: 12, Patient: 1 } }] },
    key,
  );
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  expect(hex(subjectKey(key, "main/Patient/a"))).toBe(
    "953075fc23844cbbaa8eb863dccdc9a588dc191ff001c30c5adafce8307ab4d7",
  );
  expect(hex(line)).toBe(
    "87015820953075fc23844cbbaa8eb863dccdc9a588dc191ff001c30c5adafce8307ab4d71b000001a0c4506c006a74656c656865616c746881655452454154f6a26750617469656e74016b4f62736572766174696f6e0c",
  );
  expect(hex(lineSalt(seed, 0))).toBe("ef943c7f3eae115e3605b4f069de717ce2f94d0bd6e86921a685ec41cc79bfef");
  expect(hex(linesRoot(seed, [line]))).toBe(
    "bc067be1169dacc2624252be81343e35335cf456afa1820549d735e30a5ec9d7",
  );

  const [ofForm = new Uint8Array()] = accountingLines(
    {
      ...big(1),
      who: { client: "research" },
      why: { purposes: ["HRESCH"] },
      form: { kind: "limited-data-set", dataSet: "study" },
      patients: [{ patient: "main/Patient/a", counts: { Observation: 12, Patient: 1 } }],
    },
    key,
  );
  expect(hex(ofForm)).toBe(
    "88025820953075fc23844cbbaa8eb863dccdc9a588dc191ff001c30c5adafce8307ab4d71b000001a0c4506c006872657365617263688166485245534348f6a26750617469656e74016b4f62736572766174696f6e0c706c696d697465642d646174612d736574",
  );
  expect(hex(linesRoot(seed, [ofForm]))).toBe(
    "76199edad25fef4b6f741e547bb493dc2ea40d2f9103bd3371fb339cbb6c78d0",
  );
  expect(readLine(ofForm)).toMatchObject({ recipient: "research", form: "limited-data-set" });
  expect(subjectOf(ofForm)).toEqual(subjectOf(line));
});

test("the parts of an event that rows decide show neither in the number of its records nor in their lengths", ({
  expect,
}) => {
  const knownOnes = fc.uniqueArray(name, { maxLength: 12 });
  const hiddenOnes = fc.oneof(
    { weight: 9, arbitrary: fc.uniqueArray(name, { maxLength: 30 }) },
    { weight: 1, arbitrary: fc.uniqueArray(name, { maxLength: 600, minLength: 400 }) },
  );
  const decided = fc.record({
    reason: fc.option(fc.stringMatching(/^[a-z][a-z_]{0,60}$/), { nil: undefined }),
    states: fc.array(fc.option(state, { nil: undefined }), { minLength: 1, maxLength: 5 }),
    resources: fc.nat({ max: 2 ** 40 }),
    hidden: hiddenOnes,
    unnamed: fc.subarray(["Observation/1", "Observation/2"]),
    decision: fc.option(decision, { nil: undefined }),
  });
  const kind = fc.constantFrom("disclosure", "refusal", "write");
  fc.assert(
    fc.property(
      event,
      kind,
      knownOnes,
      fc.nat({ max: 600 }),
      decided,
      decided,
      (one, kind, known, names, ...worlds) => {
        const lengths = worlds.map(({ reason, states, resources, hidden, unnamed, decision }) => {
          const nameOf = (id: string) => `main/Patient/${id}`;
          const unseen = hidden.filter((id) => !known.includes(id)).slice(0, names);
          const patients = [...known, ...unseen].map((id, i) => {
            const where = states[i % states.length];
            const one = { patient: nameOf(id), counts: { Observation: 1 } };
            return where === undefined ? one : Object.assign(one, { state: where });
          });
          const reserve = {
            names,
            unseen: unseen.map(nameOf),
            counts: { Observation: 9 },
            unnamed: ["Observation/1", "Observation/2"],
          };
          const what = { ...one.what, origin: "main" };
          const split = splitEvent({
            ...one,
            kind,
            what,
            patients,
            unnamed,
            reserve,
            outcome: { status: 404, ...(kind !== "disclosure" && reason !== undefined && { reason }) },
            withheld: { ...one.withheld, resources },
            // only a row that is there decides; its reasons are short
            ...(kind === "refusal" && (reason?.length ?? 0) <= 24 && { decision }),
          });
          if (!split.ok) return split.error;
          return split.value.map((part) => {
            const { length } = encodeRecord(part, 1, 1, seed);
            const [plain, worst] = [part, { ...part, ...worstCase(part) }].map(
              (one) => encodeRecord({ ...one, reserve: undefined }, 1, 1, seed).length,
            );
            expect(length).toBe(Math.max(plain ?? 0, worst ?? 0) + 3);
            return length;
          });
        });
        expect(lengths[1]).toEqual(lengths[0]);
      },
    ),
    { numRuns: inLane({ fast: 200, slow: 500, long: 10_000 }) },
  );
});

test("one count of refusals holds every reason that there is, and a record has room for it", ({ expect }) => {
  const tally = Object.fromEntries(Object.keys(allRefusals).map((reason) => [reason, 2 ** 40]));
  const at = instant(1_790_000_000_000);
  const event = { id: "0".repeat(32), at, kind: "refusals", patients: [], unnamed: [], counts: {}, tally };
  const read = readEvent(event);
  expect(read).toMatchObject({ ok: true, value: { tally } });
  if (read.ok) expect(encodeRecord(read.value, 1, 1, seed).length).toBeLessThanOrEqual(PLAINTEXT_BYTES_MAX);
});

test("a record of a data set is as long whatever ids are behind the codes of its question", ({ expect }) => {
  const lengthOf = (id: string, form: string | undefined) =>
    encodeRecord(
      {
        id: "0".repeat(32),
        at: instant(0),
        kind: "disclosure",
        what: { interaction: "read", origin: "main", type: "Patient", id: "f".repeat(32) },
        why: { purposes: ["HRESCH"] },
        ...(form !== undefined && { form: { kind: form, dataSet: "cohort" } }),
        patients: [{ patient: `main/Patient/${id}`, counts: {} }],
        unnamed: [`main/Practitioner/${id}`],
        counts: {},
        reserve: { names: 0, counts: {}, unseen: [], unnamed: [] },
      },
      1,
      1,
      seed,
    ).length;
  const ids = ["1", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "f".repeat(32), "x".repeat(64)];
  expect(new Set(ids.map((id) => lengthOf(id, "safe-harbor"))).size).toBe(1);
  expect(new Set(ids.map((id) => lengthOf(id, undefined))).size, "a caller who knows the id").toBeGreaterThan(
    1,
  );
});
