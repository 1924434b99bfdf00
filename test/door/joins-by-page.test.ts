import { afterAll, beforeAll, describe, test, type ExpectStatic } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { policyEntry, rule } from "../policy/granting.ts";
import { eventsOf } from "../support/auditor.ts";
import { fhirSending, restricted, to } from "../support/fhir-parts.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { inLane, lane } from "../support/lane.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";

// More rows of one client match a join than a hop reads, or they name more patients than a record has room for. The
// joins of everybody go on: each page asks for its own rows.

const encounter = (id: string, patient: string) => ({
  resourceType: "Encounter",
  id,
  status: "finished",
  class: { code: "AMB" },
  subject: to(`Patient/${patient}`),
});
const observation = (id: string, code: string, patient: string, visit: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { coding: [{ system: "urn:c", code }] },
  subject: to(`Patient/${patient}`),
  encounter: to(`Encounter/${visit}`),
  ...more,
});
const many = <T>(count: number, make: (n: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, n) => make(n));
const strangers = (n: number, count = 20) => ({
  focus: many(count, (each) => to(`Patient/stranger-${n}-${each}`)),
});
/** Amara's app writes many rows; each join also finds a row of Bela. */
const joined = (code: string, count: number, more: (n: number) => object = () => ({})) => [
  ...many(count, (n) => observation(`${code}-${n}`, code, "amara", "visit", more(n))),
  observation(`${code}-of-bela`, code, "bela", "stay"),
];
const world = [
  ...["amara", "bela"].map((id) => ({ resourceType: "Patient", id })),
  encounter("visit", "amara"),
  encounter("stay", "bela"),
  encounter("plain", "bela"),
  ...many(60, (n) => encounter(`each-${n}`, "amara")),
  ...many(501, (n) => ({ ...encounter(`planned-${n}`, "amara"), status: "planned" })),
  observation("planned-of-bela", "chain", "bela", "planned-of-bela"),
  { ...encounter("planned-of-bela", "bela"), status: "planned" },
  ...joined("rows", 601),
  ...joined("alike", 601),
  observation("alike-hidden", "alike", "bela", "plain", { meta: restricted }),
  ...joined("names", 239, (n) => strangers(n)),
  ...many(600, (n) => observation(`each-${n}`, "each", "amara", `each-${n % 60}`, strangers(n))),
  observation("each-of-bela", "each", "bela", "stay"),
  ...many(100, (n) => observation(`some-${n}`, "some", "amara", `each-${n % 60}`, strangers(1_000 + n))),
];

const large = { note: [{ text: "n".repeat(900_000) }] };
const largeWorld = [
  ...world,
  ...many(12, (n) => observation(`kept-${n}`, "kept", "amara", "planned-0", { ...large, meta: restricted })),
  observation("shown-behind-kept", "kept", "amara", "planned-0"),
  ...["denied", "carla"].map((id) => ({ resourceType: "Patient", id })),
  ...many(12, (n) => observation(`denied-${n}`, "denied", "denied", "planned-0", large)),
  observation("asked-0", "asked", "carla", "planned-0"),
  observation("shown-behind-denied", "denied", "carla", "planned-0"),
  ...many(2, (n) => observation(`own-${n}`, "part", "amara", "planned-0")),
  ...many(2, (n) => ({
    resourceType: "Observation",
    id: `took-part-${n}`,
    status: "final",
    code: { coding: [{ system: "urn:c", code: "part" }] },
    performer: [to("Patient/amara")],
    encounter: to("Encounter/planned-0"),
  })),
  ...many(12, (n) => observation(`large-${n}`, "large", "amara", "planned-0", large)),
];

const policies = [
  policyEntry("open", [rule(["Patient", "Observation", "Encounter"], "everything")], {
    purposes: ["PATRQT"],
  }),
  policyEntry("registrar", [rule(["Consent"], "everything", { interactions: ["read", "create"] })], {
    purposes: ["PATRQT"],
    consentRegistrar: true,
  }),
];
const thp = "http://terminology.hl7.org/CodeSystem/";
const denial = {
  resourceType: "Consent",
  status: "active",
  scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
  category: [{ coding: [{ system: `${thp}v3-ActCode`, code: "IDSCL" }] }],
  patient: to("Patient/denied"),
  dateTime: "2026-11-01",
  policyRule: { coding: [{ system: `${thp}v3-ActCode`, code: "OPTOUT" }] },
};
const apps = {
  clinic: { policy: "open", scopes: "system/*.rs" },
  registrar: { policy: "registrar", scopes: "system/*.crs" },
  bela: { policy: "open", scopes: "patient/*.rs", claims: { patient: "bela" } },
  amara: { policy: "open", scopes: "patient/*.rs", claims: { patient: "amara" } },
} as const;
let phylax: Door;
let ask: AskAs<keyof typeof apps>;
beforeAll(async () => {
  phylax = await startDoor({ resources: lane === "fast" ? world : largeWorld });
  ask = await outsideApps(phylax, apps, policies);
}, 60_000);
afterAll(() => phylax.close());

const idsOf = ({ text }: Reply): readonly string[] =>
  (JSON.parse(text).entry ?? []).map((entry: { resource: { id: string } }) => entry.resource.id).toSorted();
const nextOf = ({ text }: Reply): string | undefined =>
  JSON.parse(text).link.find(({ relation }: { relation: string }) => relation === "next")?.url;
const has = (code: string) => `_has:Observation:encounter:code=urn:c|${code}`;

describe("a join with more rows than a hop reads, or with more names than a record has room for", () => {
  const cases = [
    ["_has with 602 rows", `Encounter?${has("rows")}`, ["stay", "visit"]],
    ["_has with 239 rows of 21 names", `Encounter?${has("names")}`, ["stay", "visit"]],
    ["beside a criterion", `Encounter?${has("rows")}&patient=bela`, ["stay"]],
    ["two of them", `Encounter?${has("rows")}&${has("names")}`, ["stay", "visit"]],
    ["a chain", "Observation?encounter:Encounter.status=planned&code=urn:c|chain", ["planned-of-bela"]],
    ["a nested _has", `Patient?_has:Encounter:subject:${has("rows")}`, ["amara", "bela"]],
    [
      "a chain to a _has",
      `Observation?encounter:Encounter.${has("rows")}&patient=bela&code=urn:c|names`,
      ["names-of-bela"],
    ],
  ] as const;
  test.for(cases.slice(0, inLane({ fast: 2, slow: 7, long: 7 })))("%s", async ([, path, ids], { expect }) => {
    const reply = await ask("clinic", path);
    expect([reply.status, reply.status === 200 && idsOf(reply)], reply.text.slice(0, 300)).toEqual([
      200,
      ids,
    ]);
  });

  test.skipIf(lane === "fast")(
    "names on record one row that decided for each row that leaves",
    async ({ expect }) => {
      const reply = await ask("clinic", `Encounter?${has("names")}`);
      const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
      const named = new Set(events.flatMap(({ patients }) => patients.map(({ patient }) => patient)));
      expect(named.size).toBe(2 + 20);
      expect(named).toContain("main/Patient/bela");
    },
  );

  test.skipIf(lane === "fast")(
    "has its names on record before a page whose own names fill an append",
    async ({ expect }) => {
      const path = `Observation?code=urn:c|each&encounter:Encounter.${has("some")}&_count=238`;
      const reply = await ask("clinic", path);
      expect([reply.status, reply.status === 200 && idsOf(reply).length]).toEqual([200, 238]);
      const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
      const named = new Set(events.flatMap(({ patients }) => patients.map(({ patient }) => patient)));
      expect(named.size).toBe(1 + 20 * (238 + 100));
      expect(events.at(-1)).toMatchObject({ kind: "disclosure", window: { complete: true } });
    },
  );

  /** The ids of all pages, and the number of the pages. */
  const readToEnd = async (app: keyof typeof apps, first: string, expect: ExpectStatic) => {
    const found: string[] = [];
    let pages = 0;
    for (let path: string | undefined = first; path !== undefined; pages += 1) {
      const reply = await ask(app, path);
      expect(reply.status, reply.text.slice(0, 300)).toBe(200);
      found.push(...idsOf(reply));
      path = nextOf(reply);
    }
    return { found: found.toSorted(), pages };
  };
  const planned = "encounter:Encounter.status=planned";

  test.skipIf(lane === "fast").for(["", "&_include=Observation:encounter"])(
    "ends a page whose rows are longer than the memory (%s)",
    async (more, { expect }) => {
      const { found } = await readToEnd(
        "clinic",
        `Observation?code=urn:c|large&${planned}&_count=12${more}`,
        expect,
      );
      const rows = found.filter((id) => id !== "planned-0");
      expect(rows).toEqual(many(12, (n) => `large-${n}`).toSorted());
    },
  );

  test.skipIf(lane === "fast")("gives hidden rows no memory that a visible row needs", async ({ expect }) => {
    const path = `Observation?code=urn:c|kept&${planned}&_count=50`;
    expect(await readToEnd("clinic", path, expect)).toEqual({ found: ["shown-behind-kept"], pages: 1 });
  });

  const deny = async (expect: ExpectStatic) => {
    const filed = await ask("registrar", "Consent", fhirSending("POST", denial));
    expect(filed.status, filed.text).toBe(201);
  };

  test.skipIf(lane === "fast")(
    "finds a row of a patient whose Consents the page has to ask for",
    async ({ expect }) => {
      await deny(expect);
      const path = `Observation?code=urn:c|asked&${planned}`;
      expect(await readToEnd("clinic", path, expect)).toEqual({ found: ["asked-0"], pages: 1 });
    },
  );

  test.skipIf(lane === "fast").for(["", "&_include=Observation:encounter"])(
    "gives rows that a Consent alone hides no memory that a visible row needs (%s)",
    async (more, { expect }) => {
      await deny(expect);
      const path = `Observation?code=urn:c|denied&${planned}&_count=50${more}`;
      const { found, pages } = await readToEnd("clinic", path, expect);
      expect([found.filter((id) => id !== "planned-0"), pages]).toEqual([["shown-behind-denied"], 1]);
    },
  );

  test.skipIf(lane === "fast")(
    "begins a page for each part of a search, without a total",
    async ({ expect }) => {
      const path = `Observation?code=urn:c|part&${planned}`;
      const first = JSON.parse((await ask("amara", path)).text);
      expect(first.total).toBeUndefined();
      const found = ["own-0", "own-1", "took-part-0", "took-part-1"];
      expect(await readToEnd("amara", path, expect)).toEqual({ found, pages: 2 });
    },
  );

  test.skipIf(lane === "fast")(
    "is counted, and is the same to a patient's own app, which no stranger's row reaches",
    async ({ expect }) => {
      const counted = await ask("clinic", `Encounter?patient=amara,bela&${has("each")}&_summary=count`);
      expect([counted.status, JSON.parse(counted.text).total]).toEqual([200, 61]);
      expect(idsOf(await ask("bela", `Encounter?${has("rows")}`))).toEqual(["stay"]);
    },
  );

  test.skipIf(lane === "fast")("is read to its end by the links of its pages", async ({ expect }) => {
    const { found, pages } = await readToEnd("clinic", `Encounter?${has("each")}&_count=7`, expect);
    expect(found).toEqual([...many(60, (n) => `each-${n}`), "stay"].toSorted());
    expect(pages).toBeGreaterThanOrEqual(9);
  });

  test.skipIf(lane === "fast")(
    "asks the origin the same, whether a hidden row matches or none",
    async ({ expect }) => {
      const askedFor = async (code: string) => {
        const from = phylax.forwarded.length;
        const reply = await ask("clinic", `Encounter?${has(code)}`);
        return [reply.status, idsOf(reply), phylax.forwarded.length - from];
      };
      expect(await askedFor("alike")).toEqual(await askedFor("rows"));
    },
  );
});
