import { test } from "vitest";
import { isReading, readInteraction } from "#fhir/interaction";
import type { OriginQuestion, PagePlace } from "#fhir/ports";
import type { FhirBase } from "#fhir/r4/reference";
import { gather } from "#gateway/read/gather";
import { parseScopes } from "#identity/scopes";
import { err, ok } from "#kernel/result";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { policy, rule } from "../policy/granting.ts";
import { sessionOf } from "../support/origin-session.ts";

// The server is registered by an address, and names itself by a different address in all its answers.
const gateway = "https://api.example/v1/fhir/main";
const asked = "https://proxy.internal/fhir";
const own = "http://ehr-7.hospital.internal:8080/openmrs/ws/fhir2/R4";

const row = (id: string, patient: string) => ({
  resourceType: "DocumentReference",
  id,
  status: "current",
  subject: { reference: `${own}/Patient/${patient}` },
  description: `see ${own}/DocumentReference/${id} or ehr-7.hospital.internal:8080/admin`,
  content: [{ attachment: { url: `${own}/Binary/${id}` } }],
  identifier: [{ system: "urn:oid:1.2.3", value: id }],
});
const rows = ["a1", "a2", "b1", "a3"].map((id) => row(id, id.startsWith("a") ? "amara" : "bela"));

/** A page has two rows; its links are below the server's own name. */
function answerTo(question: OriginQuestion): unknown {
  if ("link" in question) return page(Number(/page=(?<at>\d+)/u.exec(question.link)?.groups?.["at"]));
  const [type, id] = question.path.split("/");
  if (type === "Patient") return { resourceType: "Patient", id };
  return id === undefined ? page(0) : rows.find((one) => one.id === id);
}

function page(at: number) {
  const link =
    at + 2 < rows.length ? [{ relation: "next", url: `${own}/DocumentReference?page=${at + 2}` }] : [];
  const entry = rows
    .slice(at, at + 2)
    .map((resource) => ({ fullUrl: `${own}/DocumentReference/${resource.id}`, resource }));
  return { resourceType: "Bundle", type: "searchset", link, entry };
}

async function ask(base: FhirBase, request: string, place?: PagePlace) {
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = readInteraction("GET", path.split("/"), query, gateway);
  const scopes = parseScopes("patient/*.rs");
  if (!interaction.ok || !scopes.ok || !isReading(interaction.value)) throw new Error("a test's own mistake");
  const compiled = compilePolicy(policy(rule(["Patient", "DocumentReference"], "everything")), "sha256:test");
  const grant = evaluate(compiled, { scopes: scopes.value, patient: "amara" }, interaction.value);
  if (!grant.ok) return { refused: grant.error.reason, text: "" };
  let next: PagePlace | undefined;
  const links: string[] = [];
  const disclosed = await gather(
    grant.value,
    place,
    sessionOf(
      async (question) => {
        if ("link" in question) links.push(question.link);
        const found = answerTo(question);
        async function* body() {
          yield ok(new TextEncoder().encode(JSON.stringify(found)));
        }
        return found === undefined ? err({ reason: "absent" }) : ok({ kind: "answered", base, body: body() });
      },
      { base: gateway },
    ),
    {
      to: async (path, following) => {
        next = following;
        return ok(following && `${gateway}/${path}?_page=sealed`);
      },
    },
  );
  if (!disclosed.ok) return { refused: disclosed.error.reason, text: "" };
  const text = disclosed.value.windows.map((window) => new TextDecoder().decode(window.body)).join("");
  return { text, links, next };
}

test("an origin that names itself by another base is paged to its end, each page asked for below the registered base", async ({
  expect,
}) => {
  const idsOf = (text: string) =>
    (JSON.parse(text) as { entry: { resource: { id: string } }[] }).entry.map(({ resource }) => resource.id);
  const first = await ask([asked, own], "DocumentReference?patient=amara");
  expect(idsOf(first.text)).toEqual(["a1", "a2"]);
  const second = await ask([asked, own], "DocumentReference?patient=amara", first.next);
  expect(second.links).toEqual(["/DocumentReference?page=2"]);
  expect(idsOf(second.text)).toEqual(["a3"]);
  expect(second.next).toBeUndefined();
  expect(
    (await ask(asked, "DocumentReference?patient=amara")).refused,
    "no name is believed that is not registered",
  ).toBe("answer_link_outside_origin");
});

test("absolute references below any name decide the owner of a row", async ({ expect }) => {
  expect((await ask([asked, own], "DocumentReference/a1")).text).toContain('"a1"');
  expect((await ask([asked, own], "DocumentReference/b1")).refused).toBe("row_outside_access");
  expect((await ask(asked, "DocumentReference/a1")).refused).toBe("row_outside_access");
});

test("P8: no name of the origin leaves, in reference, address or text", async ({ expect }) => {
  for (const request of ["DocumentReference/a1", "DocumentReference?patient=amara"]) {
    const { text } = await ask([asked, own], request);
    expect(text).toContain(`${gateway}/Patient/amara`);
    expect(text).toContain(`${gateway}/Binary/a1`);
    expect(text).not.toMatch(/ehr-7|hospital\.internal|8080|proxy\.internal|openmrs/u);
  }
});
