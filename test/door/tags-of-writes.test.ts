import { afterEach, test } from "vitest";
import { memoryOrigin } from "../../sandbox/origin/memory-origin.ts";
import { policy, rule } from "../policy/granting.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { handlerOf } from "../support/in-process/memory-handler.ts";
import type { Handler } from "../support/in-process/network.ts";
import { outsideApps } from "../support/outside-apps.ts";

// The ETag of a write's answer is the ETag of the read that follows, whatever form the origin keeps.

const interactions = ["read", "search", "create", "update"] as const;
const document = policy(rule(["Patient", "Observation"], "everything", { interactions: [...interactions] }));

/** PostgreSQL's JSONB: members by the length of their names, then by their bytes. */
const inOrderOfJsonb = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(inOrderOfJsonb);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, inOrderOfJsonb(member)] as const);
  return Object.fromEntries(members.toSorted(([a], [b]) => a.length - b.length || (a < b ? -1 : 1)));
};

/** A server that answers a write with the members as they were sent, and may read them in an order of its own. */
function originOf(asked: string[], isJsonb: boolean): Handler {
  let answer: Handler | undefined;
  return async (request) => {
    if (answer === undefined) {
      const server = memoryOrigin(`${new URL(request.url).origin}/fhir`);
      server.load([{ resourceType: "Patient", id: "ann" }]);
      answer = handlerOf(server);
    }
    asked.push(request.method);
    const response = await answer(request);
    if (!isJsonb || request.method !== "GET" || response.status !== 200) return response;
    return new Response(JSON.stringify(inOrderOfJsonb(await response.json())), response);
  };
}

const observation = {
  resourceType: "Observation",
  status: "final",
  code: { text: "pulse" },
  subject: to("Patient/ann"),
};

let door: Door | undefined;
afterEach(() => door?.close());

test.for([
  ["an origin that keeps the form", false],
  ["an origin that stores JSONB", true],
] as const)(
  "%s: the tag of a create is the tag of the read, and an update with the tag of any answer is done",
  async ([, isJsonb], { expect }) => {
    const asked: string[] = [];
    door = await startDoor({ answer: originOf(asked, isJsonb) });
    const clinic = { policy: document.name, purpose: "TREAT", scopes: "system/*.cruds" };
    const ask = await outsideApps(door, { clinic }, [{ name: document.name, body: document }]);
    const tagOf = ({ headers }: Awaited<ReturnType<typeof ask>>) => String(headers["etag"]);
    const create = () => ask("clinic", "Observation", fhirSending("POST", observation));
    const created = await create();
    expect([created.status, asked], created.text).toEqual([201, ["POST", "GET"]]);
    const { id } = JSON.parse(created.text) as { id: string };
    const path = `Observation/${id}`;
    const put = (tag: string, text: string) =>
      ask("clinic", path, fhirSending("PUT", { ...observation, id, code: { text } }, { "if-match": tag }));
    expect(tagOf(await ask("clinic", path))).toBe(tagOf(created));
    const second = await put(tagOf(created), "second");
    expect(second.status, second.text).toBe(200);
    expect(tagOf(await ask("clinic", path))).toBe(tagOf(second));
    expect((await put(tagOf(second), "third")).status).toBe(200);
    expect((await put(tagOf(second), "late")).status).toBe(412);
    // a server that keeps the form is asked once, and then no more
    asked.length = 0;
    await create();
    expect(asked).toEqual(isJsonb ? ["POST", "GET"] : ["POST"]);
  },
);
