import { afterAll, beforeAll, describe, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { fhirSending, fhirJson, to } from "../support/fhir-parts.ts";
import type { Handler } from "../support/in-process/network.ts";
import { lane } from "../support/lane.ts";
import { startMedplum } from "../support/medplum-server.ts";
import { startMedplumRouter } from "../support/medplum-router-server.ts";
import { startNpmServer, type NpmServer } from "../support/npm-fhir-server.ts";
import type { Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";
import { policy, rule } from "../policy/granting.ts";
import type { PolicyDocument } from "#policy/schema";

// docs/origins.md: a FHIR server whose code is not ours, asked through Phylax and directly. The long lane
// installs it, which takes minutes.

const document: PolicyDocument = {
  ...policy(
    rule(["Patient", "Observation"], "everything", { interactions: ["read", "search", "create", "update"] }),
  ),
  purposes: ["PATRQT"],
  users: ["practitioner"],
  operations: ["everything"],
};
const worlds = worldsUnder(document);

const patient = (id: string, family: string) => ({ resourceType: "Patient", id, name: [{ family }] });
const observation = (id: string, who: string, code: string, day: string) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { coding: [{ system: "urn:s", code }] },
  subject: to(`Patient/${who}`),
  effectiveDateTime: day,
});
// Medplum takes UUIDs alone.
const [ann, ben, o1, o2, o3] = ["a1", "b1", "01", "02", "03"].map(
  (end) => `5ac0c0de-0000-4000-8000-0000000000${end}`,
) as [string, string, string, string, string];
const world = [
  patient(ann, "Okafor"),
  patient(ben, "Nagy"),
  observation(o1, ann, "a", "2026-01-01"),
  observation(o2, ann, "b", "2026-02-01"),
  observation(o3, ben, "a", "2026-03-01"),
];

const evaluated = { Patient: ["_id", "name"], Observation: ["_id", "code", "date", "subject", "patient"] };
const interactions = ["create", "delete", "read", "search-type", "update", "vread"];

/** A server, and the members of its entry as `phylax origin probe --allow-writes` prints them. */
interface Tried {
  readonly name: string;
  readonly start: (port: number) => Promise<NpmServer>;
  readonly searches: Readonly<Record<"Patient" | "Observation", readonly string[]>>;
  readonly updates: boolean;
  readonly members: object;
}
const nothing = { Patient: [], Observation: [] };
const tried: readonly Tried[] = [
  {
    name: "node-fhir-server-core",
    start: (port) => startNpmServer("node-fhir-server-core", port),
    searches: nothing,
    updates: false,
    members: { updateAsCreate: true, honoursIfMatchOnUpdate: false, searchByPost: false, everything: "none" },
  },
  {
    name: "FHIR Works on AWS",
    start: (port) => startNpmServer("fhir-works-on-aws", port),
    searches: nothing,
    updates: false,
    members: {
      honoursIfMatchOnUpdate: false,
      honoursIfNoneExist: false,
      searchByPost: false,
      everything: "none",
    },
  },
  {
    name: "Medplum's router",
    start: startMedplumRouter,
    searches: evaluated,
    updates: true,
    members: {
      updateAsCreate: true,
      honoursIfMatchOnUpdate: true,
      honoursIfNoneExist: true,
      searchByPost: true,
      everything: "none",
    },
  },
];

// A checkout of Medplum's repository, its folder packages/server: npm has everything but the server itself.
const medplum = process.env["MEDPLUM_SOURCE"];
const whole: readonly Tried[] =
  medplum === undefined
    ? []
    : [
        {
          name: "Medplum, whole",
          start: (port) => startMedplum(medplum, port),
          searches: evaluated,
          updates: true,
          members: {
            updateAsCreate: false,
            honoursIfMatchOnUpdate: true,
            honoursIfNoneExist: true,
            searchByPost: true,
            everything: "without-type",
            elements: true,
            total: true,
            strict: true,
          },
        },
      ];

describe.runIf(lane === "long").each([...tried, ...whole])(
  "$name, a FHIR server that npm brings",
  ({ start, searches, updates, members }) => {
    let server: NpmServer;
    const atServer = async (method: string, path: string, resource?: object) => {
      const body = resource === undefined ? null : JSON.stringify(resource);
      const { authorization } = server;
      const headers = { ...fhirJson, ...(authorization !== undefined && { authorization }) };
      return fetch(`${server.url}/${path}`, { method, body, headers });
    };
    beforeAll(async () => {
      server = await start(await freePort());
      for (const row of world) await atServer("PUT", `${row.resourceType}/${row.id}`, row);
    }, 600_000);
    afterAll(() => server.close(), 60_000);

    /** The server at the address that the registry knows; it names itself by its own. */
    const forwarding: Handler = async (request) => {
      const body = request.method === "GET" ? null : await request.arrayBuffer();
      return fetch(request.url.replace(worlds.originBase, server.url), {
        method: request.method,
        headers: {
          ...Object.fromEntries(request.headers),
          ...(server.authorization !== undefined && { authorization: server.authorization }),
        },
        body,
        redirect: "manual",
      });
    };
    async function ask(path: string, sending: object = {}): Promise<Seen> {
      const { host } = new URL(server.url);
      const capabilities = {
        ...members,
        types: Object.fromEntries(
          Object.entries(searches).map(([type, search]) => [type, { interactions, search }]),
        ),
      };
      const registry = {
        origins: [
          {
            name: "main",
            url: worlds.originBase,
            alsoKnownAs: [server.url, server.url.replace(host, `localhost:${host.split(":")[1]}`)],
            credentials: { kind: "none" },
            capabilities,
            acceptsSearchInUrl: true,
          },
        ],
      };
      const asking = { origin: forwarding, registry };
      const { one } = await worlds.compare(asking, asking, [
        { by: await worlds.by("system"), path, ...sending },
      ]);
      const [seen] = one;
      if (seen === undefined) throw new Error("there was a question");
      return seen;
    }
    const idsOf = ({ body }: Seen): readonly string[] => {
      const { entry = [] } = JSON.parse(body.toString("utf8")) as { entry?: { resource: { id: string } }[] };
      return entry.map(({ resource }) => resource.id).toSorted();
    };

    test("whatever it evaluates, through Phylax only rows that match leave", async ({ expect }) => {
      const direct: { entry: object[] } = await (await atServer("GET", "Observation?code=b")).json();
      expect(direct.entry, "a server without the parameter ignores the code").toHaveLength(updates ? 1 : 3);
      for (const [path, ids] of [
        ["Observation?code=urn:s%7Ca", [o1, o3]],
        ["Patient?name=nagy", [ben]],
      ] as const)
        expect(idsOf(await ask(path)), path).toEqual(ids);
      for (const [path, ids] of [
        [`Observation?patient=Patient/${ann}&date=ge2026-01-15`, [o2]],
        ["Observation?patient.name=okafor", [o1, o2]],
        [`Patient/${ann}/$everything`, [o1, o2, ann]],
      ] as const) {
        const seen = await ask(path);
        if (updates) expect(idsOf(seen), path).toEqual(ids);
        // A server without a parameter for the owner would send the rows of all patients.
        else
          expect([seen.status, seen.body.toString("utf8")]).toEqual([
            400,
            expect.stringMatching(/\((?:patient|_id)\)/u),
          ]);
      }
      const read = await ask(`Observation/${o1}`);
      expect(JSON.parse(read.body.toString("utf8"))).toMatchObject(world[2] ?? {});
      expect(read.body.toString("utf8")).not.toContain(server.url);
    });

    test("a search of one type asks two questions for a page at most, over all of its pages", async ({
      expect,
    }) => {
      const owned = updates
        ? [`Observation?patient=${ann}&_count=1`, `Observation?subject=Patient/${ann}`]
        : [];
      for (const path of [
        "Observation?code=urn:s%7Ca&_count=1",
        "Patient?name=nagy",
        "Observation",
        ...owned,
      ]) {
        let [next, pages, questions]: [string, number, number] = [path, 0, 0];
        while (next !== "") {
          const seen = await ask(next);
          expect(seen.status, path).toBe(200);
          pages += 1;
          questions += seen.questions.length;
          const { link } = JSON.parse(seen.body.toString("utf8")) as {
            link: { relation: string; url: string }[];
          };
          const url = link.find(({ relation }) => relation === "next")?.url ?? "";
          next = url.replace(/^.*\/v1\/fhir\/main\//u, "");
        }
        expect(questions, `${path}: ${pages} pages`).toBeLessThanOrEqual(2 * pages);
      }
    });

    test("takes a create, whose answer has the id of its Location, an update if it honours If-Match, and no delete", async ({
      expect,
    }) => {
      const { id: _id, ...body } = observation("", ann, "c", "2026-04-01");
      const sending = fhirSending("POST", body);
      const created = await ask("Observation", sending);
      expect(created.status).toBe(201);
      // The comparison of worlds writes dashes for an id that the server assigned.
      expect(created.headers["location"]).toMatch(/\/v1\/fhir\/main\/Observation\/-+/u);
      const rows: { entry: { resource: typeof body }[] } = await (
        await atServer("GET", "Observation")
      ).json();
      const made = rows.entry.filter(({ resource }) => resource.effectiveDateTime === "2026-04-01");
      // Each of the two worlds sent it once.
      expect([1, 2]).toContain(made.length);
      for (const { resource } of made) expect(resource).toMatchObject(body);
      // An update without a lease needs a server that honours If-Match.
      const amended = JSON.stringify({ ...observation(o2, ann, "b", "2026-02-01"), status: "amended" });
      const updated = await ask(`Observation/${o2}`, { method: "PUT", headers: fhirJson, body: amended });
      expect(updated.status).toBe(updates ? 200 : 422);
      const now = await (await atServer("GET", `Observation/${o2}`)).json();
      expect(now).toMatchObject({ status: updates ? "amended" : "final" });
      expect((await ask(`Observation/${o3}`, { method: "DELETE" })).status).toBe(403);
    });
  },
);
