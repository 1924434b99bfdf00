import { afterAll, beforeAll, test } from "vitest";
import { eventsOf } from "../support/auditor.ts";
import { starterPolicy } from "../support/outside.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { restricted } from "../support/fhir-parts.ts";

// ADR 114: a number over a whole type is answered for types that name no patient.

const organization = (id: string, more: object = {}) => ({
  resourceType: "Organization",
  id,
  name: id,
  ...more,
});
const world = [
  { resourceType: "Patient", id: "ann" },
  organization("a"),
  organization("b"),
  organization("c"),
  organization("hidden", { meta: restricted }),
  { resourceType: "Observation", id: "o", status: "final", code: { text: "x" } },
];

let phylax: Door;
let ask: AskAs<"clinic">;
beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  const clinic = { policy: "treat", purpose: "TREAT", scopes: "system/*.rs" };
  ask = await outsideApps(phylax, { clinic }, [starterPolicy("treat")]);
}, 60_000);
afterAll(() => phylax.close());

test("the visible rows of a type that names no patient are counted: the record names the type and the number, and nobody", async ({
  expect,
}) => {
  for (const [query, rows] of [
    ["_summary=count", 0],
    ["_total=accurate&_count=2", 2],
  ] as const) {
    const reply = await ask("clinic", `Organization?${query}`);
    const { total, entry = [] } = JSON.parse(reply.text);
    expect([reply.status, total, entry.length], query).toEqual([200, 3, rows]);
    const [event] = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
    const form = query.split("&")[0]?.split("=");
    expect(event, query).toMatchObject({
      what: { type: "Organization", parameters: [form, ["counted", "all"]] },
      patients: [],
      unnamed: [],
      counts: { Organization: 3 },
    });
  }
});

test("a type with patients is not counted as a whole, although no Consent is on file", async ({ expect }) => {
  for (const type of ["Patient", "Observation", "Task", "Device", "Binary"])
    expect((await ask("clinic", `${type}?_summary=count`)).status, type).not.toBe(200);
});
