import * as fc from "fast-check";
import { afterAll, beforeAll, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { policyEntry, rule } from "../policy/granting.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { inLane, lane } from "../support/lane.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";

// One client writes rows that name many patients. Another client's chains, `_has` and includes over the same rows stay
// complete: a model of the stored rows says what they find.

/** A row as the model knows it. */
interface Stored {
  readonly id: string;
  readonly patient: string;
  readonly visit: string;
  readonly code: string;
}

const visits = { visit: "amara", stay: "bela" } as const;
const own: readonly Stored[] = [
  { id: "amaras", patient: "amara", visit: "visit", code: "join" },
  { id: "belas", patient: "bela", visit: "stay", code: "join" },
  { id: "belas-other", patient: "bela", visit: "stay", code: "other" },
];
const observation = ({ patient, visit, code }: Omit<Stored, "id">, more: object = {}) => ({
  resourceType: "Observation" as const,
  status: "final" as const,
  code: { coding: [{ system: "urn:c", code }] },
  subject: to(`Patient/${patient}`),
  encounter: to(`Encounter/${visit}`),
  ...more,
});
const apps = {
  clinic: { policy: "open", scopes: "system/*.cruds" },
  app: { policy: "open", scopes: "patient/*.cruds", claims: { patient: "amara" } },
} as const;
let phylax: Door;
let ask: AskAs<keyof typeof apps>;
const stored: Stored[] = [...own];

beforeAll(async () => {
  phylax = await startDoor({
    resources: [
      ...["amara", "bela"].map((id) => ({ resourceType: "Patient" as const, id })),
      ...Object.entries(visits).map(([id, patient]) => ({
        resourceType: "Encounter" as const,
        id,
        status: "finished" as const,
        class: { code: "AMB" },
        subject: to(`Patient/${patient}`),
      })),
      ...own.map(({ id, ...row }) => ({ ...observation(row), id })),
    ],
  });
  const open = rule(["Patient", "Observation", "Encounter"], "everything", {
    interactions: ["read", "search", "create", "update"],
  });
  ask = await outsideApps(phylax, apps, [policyEntry("open", [open], { purposes: ["PATRQT"] })]);
}, 60_000);
afterAll(() => phylax.close());

/** What a row of the app says: how many patients it names beyond the app's access, where, and by which base. */
const written = fc.record({
  names: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 21, max: 2_000 })),
  at: fc.constantFrom("focus", "performer", "extension", "contained"),
  base: fc.constantFrom("none", "public", "origin"),
  code: fc.constantFrom("join", "other"),
});

const idsOf = ({ text }: Reply, mode = "match"): readonly string[] =>
  (
    (JSON.parse(text) as { entry?: readonly { search: { mode: string }; resource: { id: string } }[] })
      .entry ?? []
  )
    .filter(({ search }) => search.mode === mode)
    .map(({ resource }) => resource.id)
    .toSorted();
const distinct = (ids: readonly string[]) => [...new Set(ids)].toSorted();

test(
  "rows of one client that name many patients use up nothing of another client's chains, _has and includes",
  {
    timeout: 120_000,
  },
  async ({ expect }) => {
    let serial = 0;
    const rows = fc.array(written, { minLength: 1, maxLength: 3 });
    const write = async ({
      names,
      at,
      base,
      code,
    }: typeof written extends fc.Arbitrary<infer T> ? T : never) => {
      const below = { none: "", public: `${phylax.dev.fhir}/`, origin: `${phylax.dev.origin}/` }[base];
      const strangers = Array.from({ length: names }, () => to(`${below}Patient/stranger-${serial++}`));
      const row = { patient: "amara", visit: "visit", code };
      const more = {
        focus: { focus: strangers },
        performer: { performer: strangers },
        extension: { extension: strangers.map((valueReference) => ({ url: "urn:x", valueReference })) },
        contained: {
          contained: [{ ...observation(row, { focus: strangers }), id: "inside" }],
          hasMember: [to("#inside")],
        },
      }[at];
      const made = await ask(
        "app",
        "Observation",
        fhirSending("POST", observation(row, names > 0 ? more : {})),
      );
      expect(made.status, made.text).toBe(names > 20 ? 422 : 201);
      const id = made.headers["location"]?.split("/").at(-3);
      if (id !== undefined) stored.push({ id, ...row });
    };
    await fc.assert(
      fc.asyncProperty(rows, async (some) => {
        for (const row of some) await write(row);
        const joined = stored.filter(({ code }) => code === "join");
        const idsWhere = (is: (row: Stored) => boolean) => distinct(stored.filter(is).map(({ id }) => id));
        const find = (path: string) => ask("clinic", `${path}&_count=200`);
        expect(idsOf(await find("Encounter?_has:Observation:encounter:code=urn:c|join"))).toEqual(
          distinct(joined.map(({ visit }) => visit)),
        );
        expect(idsOf(await find("Patient?_has:Observation:subject:code=urn:c|join"))).toEqual(
          distinct(joined.map(({ patient }) => patient)),
        );
        expect(idsOf(await find("Observation?encounter.status=finished&code=urn:c|join"))).toEqual(
          idsWhere(({ code }) => code === "join"),
        );
        const included = await find("Observation?code=urn:c|join&_include=Observation:encounter");
        expect(idsOf(included)).toEqual(idsWhere(({ code }) => code === "join"));
        expect(idsOf(included, "include")).toEqual(["stay", "visit"]);
        const back = await find("Encounter?_id=visit,stay&_revinclude=Observation:encounter");
        expect(idsOf(back, "include")).toEqual(idsWhere(() => true));
      }),
      { numRuns: inLane({ fast: 2, slow: 15, long: 40 }), ...(lane === "fast" && { seed: 7 }) },
    );
    expect(stored.length).toBeGreaterThan(own.length);
  },
);
