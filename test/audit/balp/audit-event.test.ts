import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { test } from "vitest";
import { auditEventsOf } from "#audit/balp/audit-event";
import { configurationEvent, configurationOf } from "#audit/configuration";
import { type AuditEvent, eventKinds } from "#audit/event";
import type { Json, JsonObject } from "#fhir/json/json";
import { validateResource } from "#fhir/validate/validate";
import { instant } from "#kernel/clock";

const receipt = {
  log: "s0-2026h2",
  index: 42,
  leafHash: new Uint8Array(32),
  frameHash: new Uint8Array(32).fill(1),
};
const place = { ledger: "ledger.test", receipt, server: "https://gateway.test" };
const base: AuditEvent = {
  id: "ab".repeat(16),
  at: instant(Date.UTC(2026, 9, 1, 12)),
  kind: "disclosure",
  who: { client: "payer", user: "Practitioner/p1", issuer: "https://issuer.test" },
  from: { address: "203.0.113.7" },
  what: {
    interaction: "read",
    origin: "main",
    type: "Observation",
    id: "o1",
    method: "GET",
    path: "Observation/o1",
  },
  why: {
    purposes: ["HPAYMT"],
    agreement: "payer-agreement",
    policy: `sha256:${"a".repeat(64)}`,
    grant: "payer/main/HPAYMT",
  },
  outcome: { status: 200 },
  patients: [
    { patient: "main/Patient/amara", counts: { Observation: 1 } },
    { patient: "main/Patient/ben", counts: { Observation: 2 }, state: "MA" },
  ],
  unnamed: [],
  counts: { Observation: 3 },
  withheld: { paths: ["Observation.note"], resources: 0 },
};
const asking = (interaction: string, about: Partial<AuditEvent> = {}): AuditEvent => ({
  ...base,
  what: { ...base.what, interaction },
  ...about,
});
const profilesOf = (event: AuditEvent) =>
  auditEventsOf(event, place).map((one) =>
    (one["meta"] as { profile: string[] } | undefined)?.profile[0]?.split("/").at(-1),
  );

test("one AuditEvent for each patient, with the patient's counts, the view's digest and the receipt; one when there is none", ({
  expect,
}) => {
  const [amara, ben, ...more] = auditEventsOf(base, place);
  expect(more).toEqual([]);
  expect(amara?.["id"]).not.toBe(ben?.["id"]);
  const texts = JSON.stringify(ben);
  expect(texts).toContain('{"reference":"Patient/ben"}');
  expect(texts).not.toContain("amara");
  expect(JSON.stringify(amara)).not.toContain("state-of-residence");
  for (const [type, valueString] of [
    ["disclosed", "Observation 2"],
    ["state-of-residence", "MA"],
    ["policy", base.why?.policy],
    ["withheld-elements", "Observation.note"],
    [
      "receipt",
      `log="s0-2026h2", index=42, leaf=:${"A".repeat(43)}=:, frame=:${Buffer.alloc(32, 1).toString("base64")}:`,
    ],
  ])
    expect(texts).toContain(JSON.stringify({ type, valueString }));
  expect(auditEventsOf({ ...base, patients: [] }, place)).toHaveLength(1);
});

test("each kind of action has its profile, and an action that was not done has none", ({ expect }) => {
  const done = (interaction: string) => asking(interaction, { kind: "write" });
  expect(profilesOf(base)).toEqual(["IHE.BasicAudit.PatientRead", "IHE.BasicAudit.PatientRead"]);
  expect(profilesOf(asking("search-type"))[0]).toBe("IHE.BasicAudit.PatientQuery");
  expect(profilesOf(asking("search-type", { patients: [] }))).toEqual(["IHE.BasicAudit.Query"]);
  for (const interaction of ["$everything", "history-instance", "create"])
    expect(profilesOf(asking(interaction))[0]).toBe("IHE.BasicAudit.PrivacyDisclosure.Source");
  expect(profilesOf(done("create"))[0]).toBe("IHE.BasicAudit.PatientCreate");
  expect(profilesOf(done("conditional-patch"))[0]).toBe("IHE.BasicAudit.PatientUpdate");
  expect(profilesOf(asking("delete", { kind: "write", patients: [] }))).toEqual(["IHE.BasicAudit.Delete"]);
  for (const event of [
    asking("read", { kind: "refusal", outcome: { status: 403, reason: "rule_missing" } }),
    asking("create", { kind: "intent", outcome: {} }),
    asking("update", { kind: "write", outcome: { status: 412, reason: "version_conflict" } }),
    asking("read", { kind: "aborted", outcome: { reason: "client_disconnected" } }),
    asking("read", { kind: "of a later version" }),
  ])
    expect(profilesOf(event), event.kind).toEqual([undefined, undefined]);
});

test("a refusal says so: outcome 4 with the internal reason; a fault is 8", ({ expect }) => {
  const refused = (status: number, reason: string) =>
    auditEventsOf(asking("read", { kind: "refusal", outcome: { status, reason } }), place)[0];
  expect(refused(403, "rule_missing")).toMatchObject({ outcome: "4", outcomeDesc: "HTTP 403, rule_missing" });
  expect(refused(502, "origin_unreachable")).toMatchObject({ outcome: "8" });
  expect(auditEventsOf(base, place)[0]).toMatchObject({ outcome: "0" });
});

test("the configuration of a worker is an application start, with each setting by its name and no client", ({
  expect,
}) => {
  const settings = [
    ["PUBLIC_URL", "https://gateway.test"],
    ["MTLS_URL", ""], // FHIR has no empty text
  ] as const;
  const configuration = configurationOf("gateway", settings);
  const [one, ...more] = auditEventsOf(configurationEvent(configuration, base.id, base.at), place);
  expect(more).toEqual([]);
  expect(one).toMatchObject({
    type: { code: "110100" },
    subtype: [{ code: "110120" }],
    outcome: "0",
    agent: [
      { type: { coding: [{ code: "110150" }] }, who: { identifier: { value: "gateway" } }, requestor: false },
    ],
  });
  expect(one?.["entity"]).toContainEqual(
    expect.objectContaining({
      role: expect.objectContaining({ code: "13" }),
      what: { identifier: { value: configuration.digest }, display: "configuration of gateway" },
      detail: [{ type: "PUBLIC_URL", valueString: "https://gateway.test" }],
    }),
  );
});

const nasty = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom("", " ", "\u0000", "\n", "a b", "\uD800", "x".repeat(300)),
);
const maybe = fc.option(nasty, { nil: undefined });
const counts = fc.dictionary(fc.stringMatching(/^[A-Za-z]{1,10}$/u), fc.nat());
const interactions = [
  "read",
  "vread",
  "search-type",
  "create",
  "conditional-update",
  "delete",
  "$everything",
  "batch",
  "later",
  "",
];
const events: fc.Arbitrary<AuditEvent> = fc.record({
  id: fc.stringMatching(/^[0-9a-f]{32}$/u),
  step: fc.option(fc.nat({ max: 999 }), { nil: undefined }),
  at: fc.nat({ max: 4_000_000_000 }).map((seconds) => instant(seconds * 1000)),
  kind: fc.constantFrom(...Object.keys(eventKinds), "of-a-later-version"),
  who: fc.option(
    fc.record({
      client: maybe,
      certificate: maybe,
      issuer: maybe,
      tokenId: maybe,
      user: maybe,
      operator: maybe,
      subject: maybe,
    }),
    {
      nil: undefined,
    },
  ),
  from: fc.option(fc.record({ address: maybe, country: maybe }), { nil: undefined }),
  what: fc.option(
    fc.record({
      interaction: fc.constantFrom(undefined, ...interactions),
      origin: maybe,
      type: fc.oneof(maybe, fc.constant("Patient")),
      id: maybe,
      path: maybe,
      parameters: fc.option(fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 3 }), {
        nil: undefined,
      }),
    }),
    { nil: undefined },
  ),
  why: fc.option(
    fc.record({ purposes: fc.array(nasty, { maxLength: 3 }), agreement: maybe, policy: maybe, grant: maybe }),
    {
      nil: undefined,
    },
  ),
  outcome: fc.option(
    fc.record({ status: fc.option(fc.integer({ min: 100, max: 599 }), { nil: undefined }), reason: maybe }),
    {
      nil: undefined,
    },
  ),
  patients: fc.array(
    fc.record({ patient: fc.stringMatching(/^[A-Za-z0-9_-]{1,9}\/Patient\/[A-Za-z0-9\-.]{1,64}$/u), counts }),
    {
      maxLength: 3,
    },
  ),
  unnamed: fc.array(nasty, { maxLength: 2 }),
  counts,
  withheld: fc.option(fc.record({ paths: fc.array(nasty, { maxLength: 3 }), resources: fc.nat() }), {
    nil: undefined,
  }),
  traceId: maybe,
  tally: fc.option(counts, { nil: undefined }),
  configuration: fc.option(
    fc
      .array(fc.tuple(nasty, nasty), { maxLength: 3 })
      .map((settings) => configurationOf("gateway", settings)),
    { nil: undefined },
  ),
});

test("whatever an event has in it, its AuditEvents are valid R4", ({ expect }) => {
  fc.assert(
    fc.property(events, fc.boolean(), (event, named) => {
      for (const resource of auditEventsOf(event, named ? place : { ledger: "ledger.test", receipt })) {
        expect(validateResource(JSON.parse(JSON.stringify(resource)))).toEqual([]);
      }
    }),
    { numRuns: 500 },
  );
});

const fsh = join(import.meta.dirname, "../../../../shared/data/facts/balp");
const systemOf = (name: string) => (name === "DCM" ? "http://dicom.nema.org/resources/ontology/DCM" : name);
interface Rule {
  readonly path: string;
  readonly code: string; // `system#code`, or `#code`
}

/** The fixed values of a profile, after those of its parent profile: `* agent[client].type = DCM#110152`. */
function rulesOf(name: string): readonly Rule[] {
  for (const file of [
    "PatientRead",
    "PatientQuery",
    "PatientCreate",
    "PatientUpdate",
    "PatientDelete",
    "Disclose",
  ]) {
    const text = readFileSync(join(fsh, `${file}.fsh`), "utf8");
    const block = text
      .split(/^(?=Profile:|Instance:|ValueSet:)/mu)
      .find((one) => new RegExp(`^Id:\\s+${name.replaceAll(".", "\\.")}$`, "mu").test(one));
    if (block === undefined) continue;
    const parent = /^Parent:\s+(?<parent>\w+)$/mu.exec(block)?.groups?.["parent"] ?? "";
    const own = [...block.matchAll(/^\* (?<path>[\w[\].]+) = (?<system>\S*)#(?<code>\S+)/gmu)].map(
      ({ groups }) => ({
        path: groups?.["path"] ?? "",
        code: `${systemOf(groups?.["system"] ?? "")}#${groups?.["code"] ?? ""}`,
      }),
    );
    return parent === "AuditEvent" ? own : [...rulesOf(`IHE.BasicAudit.${parent}`), ...own];
  }
  throw new Error(`no profile ${name}`);
}

/** Every `system#code` at a place, in any slice. */
function codesAt(value: Json | undefined, steps: readonly string[]): readonly string[] {
  const [step, ...rest] = steps;
  if (Array.isArray(value)) return value.flatMap((one: Json) => codesAt(one, steps));
  if (typeof value === "string") return [`#${value}`];
  const object = value as
    | (Record<string, Json> & { readonly system?: string; readonly code?: string })
    | undefined; // JSON that is neither a list nor a text
  if (object === undefined) return [];
  if (step !== undefined) return codesAt(object[step], rest);
  if (object["coding"] !== undefined) return codesAt(object["coding"], []);
  return [`${object.system}#${object.code}`];
}

test.skipIf(!existsSync(fsh))(
  "each has the fixed values that its profile of IHE BALP asks for",
  ({ expect }) => {
    const cases: readonly [string, AuditEvent][] = [
      ["PatientRead", base],
      ["Read", { ...base, patients: [] }],
      ["PatientQuery", asking("search-type")],
      ["Query", asking("search-type", { patients: [] })],
      ["PatientCreate", asking("create", { kind: "write" })],
      ["PatientUpdate", asking("patch", { kind: "write" })],
      ["PatientDelete", asking("delete", { kind: "write" })],
      ["PrivacyDisclosure.Source", asking("$everything")],
    ];
    let checked = 0;
    for (const [name, event] of cases) {
      const [resource] = auditEventsOf(event, place);
      const json: JsonObject = JSON.parse(JSON.stringify(resource));
      expect(profilesOf(event)[0]).toBe(`IHE.BasicAudit.${name}`);
      for (const { path, code } of rulesOf(`IHE.BasicAudit.${name}`)) {
        if (/\[(?:transaction|custodian|authorizer|disclosure)\]/u.test(path) && !path.startsWith("subtype"))
          continue; // optional, or its system has no URL here
        const found = codesAt(json, path.replaceAll(/\[\w+\]/gu, "").split("."));
        expect(found, `${name}: ${path}`).toContain(
          ["outcome", "action"].includes(path) ? code.slice(code.indexOf("#")) : code,
        ); // FHIR gives a `code` no system
        checked += 1;
      }
      const agents = json["agent"] as unknown as { type: unknown; who?: unknown; network?: unknown }[];
      for (const agent of agents.slice(0, 2))
        expect([agent.who, agent.network], name).not.toContain(undefined);
      expect(JSON.stringify(agents[1])).toContain(
        JSON.stringify((json["source"] as { observer?: unknown }).observer),
      ); // val-audit-source
    }
    expect(checked).toBeGreaterThan(50);
  },
);
