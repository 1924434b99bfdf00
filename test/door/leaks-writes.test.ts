import { afterAll, describe, test, type ExpectStatic } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { openLedger } from "../support/auditor.ts";
import { faceOf, origins, startLeakScene, type Who } from "../support/leak-scene.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";

// The classes of docs/leaks.md about writes and batches. The second origin accepts every write, and answers
// with another patient's record.

const scene = await startLeakScene();
afterAll(() => scene.close());

const observation = (subject: string, more: object = {}) => ({
  resourceType: "Observation",
  status: "final",
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: to(subject),
  ...more,
});

describe.for(origins)("at the origin %s:", (origin) => {
  const at = scene.at(origin);
  const { askWith, asked } = at;
  const ask = (path: string, who: Who = "app", sending = {}) => at.ask(path, who, sending);
  const send = (
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
    who: Who = "app",
  ) =>
    ask(path, who, {
      method,
      headers: {
        ...(body === undefined
          ? {}
          : { "content-type": method === "PATCH" ? "application/json-patch+json" : "application/fhir+json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  const writes = () => asked().filter((line) => !/^(?:GET |POST \S*_search)/u.test(line));
  /** Fails if the origin got a write, whatever the answer is. */
  const unwritten = async (
    expect: ExpectStatic,
    statuses: readonly number[],
    act: () => Promise<Reply>,
  ): Promise<Reply> => {
    const before = writes().length;
    const reply = await act();
    expect(statuses, `${reply.status} ${reply.text}`).toContain(reply.status);
    expect(writes().length).toBe(before);
    expect(reply.text).not.toContain("canary");
    return reply;
  };

  test("L14: each entry of a batch is judged as its own request; a transaction with a refused entry is refused whole", async ({
    expect,
  }) => {
    const get = (url: string) => ({ request: { method: "GET", url } });
    const entries = [
      "Observation/pulse",
      "Observation/bens-pulse",
      "Observation/nothing",
      "Observation?patient=ben",
      "Observation",
      "Patient?telecom=canary",
      "Patient/ben/$everything",
      "Practitioner/otto",
      "Patient/nobody/$everything",
    ];
    const reply = await send("POST", "", { resourceType: "Bundle", type: "batch", entry: entries.map(get) });
    expect(reply.status, reply.text).toBe(200);
    expect(reply.text).not.toContain("canary");
    const answers: readonly {
      readonly resource?: { readonly entry?: readonly unknown[] };
      readonly response: { readonly status: string };
    }[] = JSON.parse(reply.text).entry;
    expect(answers.map(({ response }) => response.status.slice(0, 3))).toEqual([
      "200",
      "404",
      "404",
      "200",
      "200",
      "403",
      "404",
      "404",
      "404",
    ]);
    expect(answers[3]?.resource?.entry ?? []).toEqual([]);
    const outcome = (at: number) =>
      JSON.stringify(answers[at])
        .replaceAll(/[0-9a-f]{32}/gu, "id")
        .replaceAll(entries[at] ?? "", "");
    expect(outcome(1)).toBe(outcome(2)); // hidden and absent
    expect(outcome(6)).toBe(outcome(8));

    const put = {
      resource: { ...observation("Patient/ann"), id: "bens-pulse" },
      request: { method: "PUT", url: "Observation/bens-pulse" },
    };
    const create = { resource: observation("Patient/ann"), request: { method: "POST", url: "Observation" } };
    await unwritten(expect, [403, 404], () =>
      send("POST", "", { resourceType: "Bundle", type: "transaction", entry: [create, put] }),
    );
    const unread = [
      ...["http://127.0.0.1:1/fhir/Patient/ben", "//127.0.0.1/Patient/ben"].map(get),
      ...["///Patient/ben", "Patient/%2e%2e/Patient/ben"].map(get),
      ...["CONNECT", "TRACE", "get", ""].map((method) => ({ request: { method, url: "Patient/ann" } })),
    ];
    for (const entry of unread)
      await unwritten(expect, [400], () =>
        send("POST", "", { resourceType: "Bundle", type: "transaction", entry: [entry] }),
      );
    const answered = await unwritten(expect, [200], () =>
      send("POST", "", { resourceType: "Bundle", type: "batch", entry: unread }),
    );
    expect(JSON.parse(answered.text).entry).toMatchObject(
      unread.map(() => ({ response: { status: "400" } })),
    );
    await unwritten(expect, [400, 413, 422], () =>
      send("POST", "", {
        resourceType: "Bundle",
        type: "batch",
        entry: Array.from({ length: 100 }, () => get("Patient/ann")),
      }),
    );
  });

  test("L24: a stored row must be hers before it is replaced, whatever the body says; another patient's row is absent", async ({
    expect,
  }) => {
    const absent = await unwritten(expect, [404], () =>
      send("PUT", "Observation/nothing", { ...observation("Patient/ann"), id: "nothing" }),
    );
    const unpatched = await unwritten(expect, [404], () =>
      send("PATCH", "Observation/nothing", [{ op: "replace", path: "/status", value: "amended" }]),
    );
    for (const id of ["bens-pulse", "labelled", "bens-by-ann", "childs-fever"]) {
      const reply = await unwritten(expect, [404], () =>
        send("PUT", `Observation/${id}`, { ...observation("Patient/ann"), id }),
      );
      expect(faceOf(reply), id).toEqual(faceOf(absent));
      const patched = await unwritten(expect, [404], () =>
        send("PATCH", `Observation/${id}`, [{ op: "replace", path: "/status", value: "amended" }]),
      );
      expect(faceOf(patched), id).toEqual(faceOf(unpatched));
    }
    await unwritten(expect, [404], () =>
      send("PUT", "Patient/ben", { resourceType: "Patient", id: "ben", birthDate: "1999-01-01" }),
    );
    await unwritten(expect, [400], () =>
      send("PUT", "Observation/pulse", { ...observation("Patient/ann"), id: "bens-pulse" }),
    );
    await unwritten(expect, [403], () =>
      send("PUT", "Observation/pulse", { ...observation("Patient/ann"), id: "pulse" }, {}, "reader"),
    );
  });

  test("L25: nothing is moved to another patient, by a body or by a patch, and a patch of an unsupported form is refused", async ({
    expect,
  }) => {
    const seen = JSON.parse((await ask("Observation/weight")).text);
    await unwritten(expect, [403, 404, 422], () =>
      send("PUT", "Observation/weight", { ...seen, subject: to("Patient/ben") }),
    );
    for (const operations of [
      [{ op: "replace", path: "/subject/reference", value: "Patient/ben" }],
      [{ op: "remove", path: "/subject" }],
      [{ op: "copy", from: "/note", path: "/valueString" }],
      [{ op: "move", from: "/text", path: "/valueString" }],
      [{ op: "test", path: "/note/0/text", value: "canary-note-of-weight" }],
    ])
      await unwritten(expect, [403, 404, 409, 412, 422], () =>
        send("PATCH", "Observation/weight", operations),
      );
    const parameters = { resourceType: "Parameters", parameter: [{ name: "operation" }] };
    for (const type of [
      "application/fhir+json",
      "application/fhir+xml",
      "application/merge-patch+json",
      "application/xml-patch+xml",
    ])
      await unwritten(expect, [400, 415], () =>
        send("PATCH", "Observation/weight", parameters, { "content-type": type }),
      );
  });

  test("L26: a condition finds the rows that its writer may see: a hidden match decides nothing", async ({
    expect,
  }) => {
    // Ben's row has this identifier, and Ann's app may not know.
    await unwritten(expect, [204], () => send("DELETE", "Observation?identifier=urn:lab%7Cbens"));
    const hidden = await send(
      "PUT",
      "Observation?identifier=urn:lab%7Cbens",
      observation("Patient/ann", { identifier: [{ system: "urn:lab", value: "bens" }] }),
    );
    const nothing = await send(
      "PUT",
      "Observation?identifier=urn:lab%7Cno-one",
      observation("Patient/ann", { identifier: [{ system: "urn:lab", value: "no-one" }] }),
    );
    expect(hidden.status).toBe(nothing.status);
    const created = await send(
      "POST",
      "Observation",
      observation("Patient/ann", { identifier: [{ system: "urn:lab", value: "bens" }] }),
      {
        "if-none-exist": "identifier=urn:lab|bens&performer=Practitioner/otto",
      },
    );
    const plain = await send("POST", "Observation", observation("Patient/ann"), {
      "if-none-exist": "identifier=urn:lab|no-one-else",
    });
    expect(created.status).toBe(plain.status);
    for (const reply of [hidden, nothing, created, plain]) expect(reply.text).not.toContain("canary");
    await unwritten(expect, [400, 403], () =>
      send(
        "POST",
        "Patient",
        { resourceType: "Patient" },
        { "if-none-exist": "telecom=canary-phone-of-ben" },
      ),
    );
    await unwritten(expect, [400, 403], () => send("DELETE", "Patient?telecom=canary-phone-of-ben"));
    await unwritten(expect, [400, 412], () => send("DELETE", "Observation"));
  });

  test("L27: a write answers with the elements that its reader may read, and with no text of the origin", async ({
    expect,
  }) => {
    const replies = [
      await send("POST", "Observation", observation("Patient/ann"), { prefer: "return=representation" }),
      await send("PATCH", "Observation/pulse", [{ op: "replace", path: "/valueQuantity/value", value: 73 }], {
        prefer: "return=representation",
      }),
      await send("PUT", "Observation/pulse", JSON.parse((await ask("Observation/pulse")).text), {
        prefer: "return=OperationOutcome",
      }),
      await send("PATCH", "Observation/pulse", [{ op: "replace", path: "/status", value: "amended" }], {
        "if-match": 'W/"77"',
      }),
    ];
    for (const { status, text, headers } of replies) {
      expect(text, String(status)).not.toContain("canary");
      expect(JSON.stringify(headers)).not.toMatch(/canary|127\.0\.0\.1|W\/\\"/u);
    }
    const blind = { scope: "patient/Observation.cu", patient: "ann" };
    const written = await askWith(
      "app",
      blind,
      "Observation",
      fhirSending("POST", observation("Patient/ann"), { prefer: "return=representation" }),
    );
    expect(written.text).not.toContain("canary");
    if (origin === "main") expect([written.status, written.text]).toEqual([201, ""]);
  });

  test("L28: a write is decided, and on record, before the origin gets it", async ({ expect }) => {
    await unwritten(expect, [404], () => send("DELETE", "Observation/bens-pulse"));
    await unwritten(expect, [403], () => send("POST", "Observation", observation("Patient/ben")));
    await unwritten(expect, [403], () =>
      send("POST", "Condition", { resourceType: "Condition", subject: to("Patient/ann") }),
    );
    await unwritten(expect, [422], () =>
      send("POST", "Observation", observation("Patient/ann", { note: [{ text: "x" }] })),
    );
    const refused = await unwritten(expect, [404], () => send("DELETE", "Observation/childs-fever"));
    const done = await send("POST", "Observation", observation("Patient/ann"));
    // All records of a request are in one log. The request's id decides which log.
    const records = await openLedger(scene.phylax.dev);
    const kindsOf = (id: unknown) => records.flatMap(({ event }) => (event.id === id ? [event.kind] : []));
    expect(kindsOf(refused.headers["x-request-id"])).toEqual(["refusal"]);
    expect(kindsOf(done.headers["x-request-id"]).slice(0, 2)).toEqual(["intent", "write"]);
  });
});
