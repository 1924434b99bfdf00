import { afterAll, describe, test } from "vitest";
import { parseReceipt } from "#ledger/read-receipt";
import { openLedger } from "../support/auditor.ts";
import { anns, bundleOf, faceOf, origins, rowsOf, startLeakScene } from "../support/leak-scene.ts";

// The classes of docs/leaks.md about rows: the patient of a row, and the answer for an absent row. Each test
// goes through all workers, against the sandbox's origin and against an origin that ignores every question.
// A text with `canary` in it must not reach Ann's app.

const scene = await startLeakScene();
afterAll(() => scene.close());

describe.for(origins)("at the origin %s:", (origin) => {
  const { ask, askWith, asked, base, expectAbsent, expectRefused } = scene.at(origin);

  test("L1: the patient is the token's patient, whatever patient the URL names", async ({ expect }) => {
    expect((await ask("Patient/ann")).status).toBe(200);
    await expectAbsent(expect, "Patient/nobody", "Patient/ben", "Patient/child");
    for (const query of [
      "patient=ben",
      "subject=Patient/ben",
      "patient=Patient/ben&patient=ann",
      "_id=bens-pulse",
    ])
      expect(rowsOf(await ask(`Observation?${query}`)), query).toEqual([]);
    expect(rowsOf(await ask("Patient?_id=ben"))).toEqual([]);
    expect(rowsOf(await ask("Observation"))).toEqual(anns);
  });

  test("L2: ids are compared whole: a prefix of her id, or her id at another server, is not hers", async ({
    expect,
  }) => {
    await expectAbsent(expect, "Observation/nothing", "Observation/of-ann2", "Observation/elsewhere");
    await expectAbsent(expect, "Patient/nobody", "Patient/ann2", "Patient/an");
    const found = rowsOf(await ask("Observation?subject=Patient/ann"));
    expect(found).toEqual(anns);
    expect((await ask("Observation?subject=https://elsewhere.example/fhir/Patient/ann")).text).not.toContain(
      "canary",
    );
  });

  test("L3: a resource of any type that is read by its id is fetched, judged by its row, and absent if the row is hidden", async ({
    expect,
  }) => {
    expect((await ask("Condition/asthma")).status).toBe(200);
    await expectAbsent(
      expect,
      "Condition/nothing",
      "Condition/bens-asthma",
      "Encounter/bens-visit",
      "Appointment/both",
      "Observation/labelled",
    );
    await expectAbsent(expect, "Condition/nothing/_history/1", "Condition/bens-asthma/_history/1");
  });

  test("L6: a mention, a participation or a reference makes no row hers; a row of two owners belongs to neither alone", async ({
    expect,
  }) => {
    await expectAbsent(expect, "Observation/nothing", "Observation/bens-by-ann", "Observation/childs-fever");
    await expectAbsent(expect, "Patient/nobody", "Patient/ben"); // its `link` names her
    await expectAbsent(expect, "Appointment/nothing", "Appointment/both");
    for (const query of ["focus=Patient/ann", "performer=Patient/ann"])
      // never the further rows that this finds
      expect(anns, query).toEqual(expect.arrayContaining([...rowsOf(await ask(`Observation?${query}`))]));
    expect(rowsOf(await ask("Appointment"))).toEqual([]);
  });

  test("L9: absent and forbidden are the same: bytes, headers, questions to the origin, records", async ({
    expect,
  }) => {
    /** The whole answer, with the requested id replaced. */
    const answered = async (path: string, id: string, method: string) => {
      const before = asked().length;
      const reply = await ask(path.replace("ID", id), "app", { method });
      const questions = asked().slice(before);
      // the last two depend on a page that repeats the id
      const ofTheRequest = /^(?:date|x-request-id|ratelimit|phylax-receipt|content-length|etag)$/u;
      const headers = Object.entries(reply.headers).filter(([name]) => !ofTheRequest.test(name));
      expect(parseReceipt(String(reply.headers["phylax-receipt"])).ok).toBe(true);
      const [status, text] = faceOf(reply);
      const all = {
        status,
        text,
        questions,
        headers,
        length: status === 404 ? reply.headers["content-length"] : undefined,
      };
      return {
        request: reply.headers["x-request-id"],
        status,
        all: JSON.stringify(all).replaceAll(id, "ID"),
      };
    };
    const requests: [unknown, unknown][] = [];
    for (const [status, path, forbidden, absent] of [
      [404, "Observation/ID", "bens-pulse", "nobody-has"],
      [404, "Observation/ID", "labelled", "nothing1"],
      [404, "Observation/ID/_history/1", "bens-pulse", "nobody-has"],
      [404, "Observation/ID/_history", "bens-pulse", "nobody-has"],
      [404, "Patient/ID", "ben", "nob"],
      [404, "Patient/ID/$everything", "ben", "nob"],
      [404, "Practitioner/ID", "otto", "nobo"],
      [200, "Patient/ID/Observation", "ben", "nob"],
      [200, "Observation?_id=ID", "bens-pulse", "nobody-has"],
      [200, "Observation?patient=ID", "ben", "nob"],
      [200, "Observation?patient=ID&_include=Observation:encounter", "ben", "nob"],
    ] as const)
      for (const method of ["GET", "HEAD", ...(path === "Observation/ID" ? ["DELETE"] : [])]) {
        const [hidden, nothing] = [
          await answered(path, forbidden, method),
          await answered(path, absent, method),
        ];
        expect(hidden.status, `${method} ${path}`).toBe(status);
        expect(hidden.all, `${method} ${path}`).toBe(nothing.all);
        requests.push([hidden.request, nothing.request]);
      }
    const records = await openLedger(scene.phylax.dev);
    const kinds = (request: unknown) =>
      records.flatMap(({ event }) => (event.id === request ? [event.kind] : []));
    for (const [hidden, nothing] of requests) {
      expect(kinds(hidden).length).toBeGreaterThan(0);
      expect(kinds(hidden)).toEqual(kinds(nothing));
    }
  });

  test("L18: only the operations that the policy lists exist; `$everything`, `$lastn` and a compartment's search return the rows of searches", async ({
    expect,
  }) => {
    const everything = await ask("Patient/ann/$everything");
    expect(rowsOf(everything).filter((one) => one.startsWith("Observation/"))).toEqual(anns);
    expect(everything.text).not.toContain("canary");
    const types = bundleOf(await ask("Patient/ann/$everything?_type=Condition")).entry?.map(
      ({ resource }) => resource.resourceType,
    );
    expect(types).toEqual(["Condition"]);
    await expectAbsent(expect, "Patient/nobody/$everything", "Patient/ben/$everything");
    const last = await ask("Observation/$lastn?patient=ann&max=1");
    expect(last.status, last.text).toBe(200);
    expect(anns).toEqual(expect.arrayContaining([...rowsOf(last)]));
    expect(rowsOf(await ask("Observation/$lastn?patient=ben"))).toEqual([]);
    expect(rowsOf(await ask("Patient/ann/Observation"))).toEqual(anns);
    expect(rowsOf(await ask("Patient/ben/Observation"))).toEqual([]);
    const compartment = await ask("Patient/ann/*");
    expect(rowsOf(compartment).filter((one) => one.startsWith("Observation/"))).toEqual(anns);
    expect(compartment.text).not.toContain("canary");
    expect(rowsOf(await ask("Patient/ben/*"))).toEqual([]);
    expect(rowsOf(await ask("Encounter/bens-visit/Condition"))).toEqual([]);
    await expectRefused(
      expect,
      [400],
      "Practitioner/vera/Observation",
      "Patient/$match",
      "Patient/$member-match",
      "Patient/ann/$graph",
      "Patient/$everything",
      "Observation/$stats",
      "$meta",
      "Patient/ann/$meta",
    );
    const narrow = { scope: "patient/Condition.rs patient/Patient.rs", patient: "ann" };
    const part = await askWith("reader", narrow, "Patient/ann/$everything");
    expect(
      new Set(
        rowsOf(part)
          .filter((one) => !one.startsWith("+"))
          .map((one) => one.split("/")[0]),
      ),
    ).toEqual(new Set(["Condition", "Patient"])); // each type by its own scope
  });

  test("L20: each version is judged by itself and by the current resource; a patient gets no history of a type or of the server", async ({
    expect,
  }) => {
    const history = await ask("Observation/pulse/_history");
    expect(history.status, history.text).toBe(200);
    expect(new Set(rowsOf(history))).toEqual(new Set(["Observation/pulse"]));
    expect(history.text).not.toContain("canary");
    await expectAbsent(
      expect,
      "Observation/nothing/_history",
      "Observation/labelled/_history",
      "Observation/bens-pulse/_history",
    );
    await expectRefused(expect, [400, 403], "_history", "Observation/_history", "Patient/_history");

    // A deleted resource is absent for a client with access to some rows of its type: its patient is unknown
    // by now.
    if (origin === "ignoring") return; // it deletes nothing
    const body = JSON.stringify({
      resourceType: "Observation",
      status: "final",
      code: { text: "x" },
      subject: { reference: "Patient/ann" },
    });
    const made = await ask("Observation", "app", {
      method: "POST",
      headers: { "content-type": "application/fhir+json" },
      body,
    });
    const id =
      /Observation\/(?<id>[\w.-]+)\/_history/u.exec(String(made.headers["location"]))?.groups?.["id"] ?? "";
    expect((await ask(`Observation/${id}/_history`)).status).toBe(200);
    expect((await ask(`Observation/${id}`, "app", { method: "DELETE" })).status).toBe(204);
    await expectAbsent(
      expect,
      "Observation/nothing",
      `Observation/${id}`,
      `Observation/${id}/_history`,
      `Observation/${id}/_history/1`,
    );
    expect((await ask(`Observation/${id}/_history`, "staff")).text).toContain('"method":"DELETE"');
  });

  test("L22: a nested resource follows the rule of its own type: contained resources, narrative, extensions, notes, bytes", async ({
    expect,
  }) => {
    const holds = JSON.parse((await ask("Observation/holds")).text);
    expect(holds.contained).toEqual([
      expect.objectContaining({ resourceType: "Practitioner", id: "p", name: [{ family: "Inside" }] }),
    ]);
    for (const path of ["Observation/holds", "Patient/ann", "Observation/weight", "Patient?_id=ann"]) {
      const reply = await ask(path);
      expect(reply.status).toBe(200);
      expect(reply.text, path).not.toMatch(/canary|"text":\{"status|birthTime|"note"|"data"/u);
    }
  });

  test("L23: the `_` sibling of a primitive is shown with its primitive", async ({ expect }) => {
    const ann = JSON.parse((await ask("Patient/ann")).text);
    expect(ann).toMatchObject({ birthDate: "1980-01-02", name: [{ family: "Adams" }] });
    expect(ann).not.toHaveProperty("_birthDate"); // no rule shows its extension
    expect(ann).not.toHaveProperty("_gender");
    expect(Object.keys(ann.name[0])).toEqual(["family"]);
  });

  test("L32: each row is decided by itself: a row without a patient or of a foreign type affects no further row", async ({
    expect,
  }) => {
    const shown = (bundleOf(await ask("Observation?_include=Observation:encounter")).entry ?? []).map(
      ({ fullUrl, resource }) => [fullUrl, `${base}/${resource.resourceType}/${resource.id}`],
    );
    for (const [fullUrl, named] of shown) expect(fullUrl).toBe(named);
    for (const { resource } of bundleOf(await ask("Observation")).entry ?? [])
      expect(JSON.stringify(resource)).toContain("Patient/ann");
  });

  test("L33: a stored Consent opens nothing", async ({ expect }) => {
    // Ben's consent permits Ann
    await expectAbsent(expect, "Observation/nothing", "Observation/bens-pulse");
    await expectRefused(expect, [403], "Consent", "Consent/opens-all");
  });

  test("L37: a practitioner has no rows except by the policy's relations", async ({ expect }) => {
    const as = (fhirUser: string, path: string) => askWith("user", { scope: "user/*.rs", fhirUser }, path);
    // she is his general practitioner
    expect(rowsOf(await as("Practitioner/vera", "Patient"))).toEqual(["Patient/ann"]);
    expect((await as("Practitioner/vera", "Observation/bens-pulse")).status).toBe(404);
    expect((await as("Practitioner/nobody", "Patient")).status).toBe(403);
    expect((await as("Practitioner/vera", "Practitioner")).status).toBe(403);
    expect((await as("Device/x", "Patient")).status).toBe(403);
  });

  test("a family: a coverage is its beneficiary's and a child's observation is the child's, whoever is the policy holder or the author", async ({
    expect,
  }) => {
    const as = (patient: string, path: string) => askWith("reader", { scope: "patient/*.rs", patient }, path);
    expect((await as("child", "Coverage/family")).status).toBe(200);
    expect(rowsOf(await as("child", "Coverage"))).toEqual(["Coverage/family"]);
    expect((await as("child", "Observation/childs-fever")).status).toBe(200);
    expect(rowsOf(await as("child", "Observation"))).toEqual(["Observation/childs-fever"]);
    // The mother is policy holder and subscriber of the coverage, and performer of the observation.
    await expectAbsent(expect, "Coverage/nothing", "Coverage/family");
    await expectAbsent(expect, "Observation/nothing", "Observation/childs-fever");
    expect(rowsOf(await as("ann", "Coverage"))).toEqual([]);
    expect(rowsOf(await as("ann", "Observation"))).toEqual(anns);
    // She is permitted if she signs in as the child's mother, under a policy with the relation to a related
    // person's patient.
    const mother = (path: string) =>
      askWith("user", { scope: "user/*.rs", fhirUser: "RelatedPerson/mother" }, path);
    expect((await mother("Observation/childs-fever")).status).toBe(200);
    expect(rowsOf(await mother("Coverage"))).toEqual(["Coverage/family"]);
    expect((await mother("Observation/pulse")).status).toBe(404);
  });
});
