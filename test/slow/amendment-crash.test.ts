import { createHash, randomInt, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, test } from "vitest";
import type { ListedCase } from "#registry/case-document";
import { accessToken } from "../../cli/connection/access-token.ts";
import { clientOf, operatorOf, readDevFile } from "../../cli/connection/dev-file.ts";
import { closeConnections, send } from "../../cli/connection/mutual-tls.ts";
import { startOrigin, type Origin } from "../../sandbox/origin/server.ts";
import { seeded } from "../../sandbox/synthetic/random.ts";
import { openLedger } from "../support/auditor.ts";
import { to } from "../support/fhir-parts.ts";
import { freePort } from "../support/free-port.ts";
import { type KillableStack, startKillable } from "../support/killable-stack.ts";
import { inLane } from "../support/lane.ts";
import { starterPolicy } from "../support/outside.ts";

// PHYLAX_CRASH_SEED repeats the moments of a run.
const seed = Number(process.env["PHYLAX_CRASH_SEED"] ?? randomInt(2 ** 31));
const kills = inLane({ fast: 1, slow: 3, long: 50 });
const workersAtOnce = 4;
const guide = "http://hl7.org/fhir/uv/patient-corrections/CodeSystem/PatientCorrectionCommunicationTypes";

/** A request with what is done about it, one step after the other. Each step is repeated until it has an answer. */
interface Asked {
  readonly key: string;
  readonly row: string;
  readonly letter: string;
  place?: string;
  case?: string;
  /** `unknown`: nobody knows whether the origin stored it, and a repeat under its key is not sent. */
  done: "nothing" | "requested" | "denied" | "stated" | "amended" | "accepted" | "named" | "told" | "unknown";
  /** A request that is accepted, with notices; else it is denied, with a statement. */
  readonly isAccepted: boolean;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: object;
}

interface Page {
  readonly entry?: readonly { readonly resource: { readonly identifier: readonly { value: string }[] } }[];
}

const state = mkdtempSync(join(tmpdir(), "phylax-amendment-"));
let origin: Origin | undefined;
let stack: KillableStack | undefined;
afterAll(async () => {
  await stack?.end();
  await origin?.close();
  rmSync(state, { recursive: true, force: true });
});

const patientOf = (index: number) => ({ resourceType: "Patient" as const, id: `p${index}` });
const rowOf = (name: string, patient: string) => ({
  resourceType: "Observation" as const,
  id: name,
  status: "final" as const,
  code: { coding: [{ system: "http://loinc.org", code: "72166-2" }] },
  subject: to(`Patient/${patient}`),
});
const message = (patient: string, { key, row }: Asked) => ({
  resourceType: "Communication",
  status: "completed",
  identifier: [{ system: "urn:phylax:amendment-load", value: key }],
  category: [{ coding: [{ system: guide, code: "medRecCxReq" }] }],
  subject: to(`Patient/${patient}`),
  sender: to(`Patient/${patient}`),
  sent: "2026-12-02T10:00:17Z",
  payload: [{ contentReference: to(row) }],
});

// The client that writes amends for the entity, under its grant of the demonstration.
const registrar = { ...starterPolicy("treat").body, name: "registrar", amendmentRegistrar: true };
const quotas = { default: { requests: 10_000, windowSeconds: 60 } };
const asRegistrar = {
  set: {
    policies: [{ name: "registrar", body: registrar }],
    grants: [
      {
        client: "charting",
        origin: "main",
        purpose: "TREAT",
        agreement: "charting-agreement",
        policy: "registrar",
        scopes: "system/*.cruds",
        quotas,
      },
    ],
  },
};
const provenance = (place: string, row: string) => ({
  resourceType: "Provenance",
  target: [to(row)],
  recorded: "2026-12-02T12:00:17Z",
  agent: [{ who: to("Practitioner/smith") }],
  entity: [{ role: "source", what: to(place) }],
});

/** Starts the stack. Undefined from a function: the connection was refused or broken. */
async function startOn(port: number, url: string) {
  stack = startKillable(port, state, url);
  await stack.ready;
  const dev = readDevFile(state);
  const [client, operator] = [clientOf(dev, "charting"), operatorOf(dev, "registrar")];
  const change = (step: string, body: object) =>
    send(dev, operator, `${dev.ops}/api/registry/${step}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const { digest } = JSON.parse((await change("plan", asRegistrar)).text) as { readonly digest: string };
  const changed = await change("changes", { ...asRegistrar, expects: digest });
  if (changed.status !== 200) throw new Error(changed.text);
  const token = await accessToken(dev, client, { resource: dev.fhir });
  const holder = clientOf(dev, "telehealth");
  const holdersToken = await accessToken(dev, holder, { resource: dev.fhir });
  const orNothing = (asked: Promise<Answer>): Promise<Answer | undefined> => asked.catch(() => undefined);
  return {
    dev,
    fhir: (path: string, key?: string, body?: object) =>
      orNothing(
        send(dev, client, `${dev.fhir}/${path}`, {
          method: body === undefined ? "GET" : "POST",
          headers: {
            authorization: `Bearer ${token}`,
            "content-type": "application/fhir+json",
            ...(key !== undefined && { "idempotency-key": `"${key}"` }),
          },
          ...(body && { body: JSON.stringify(body) }),
        }),
      ),
    /** A further client gets a row. */
    hold: (path: string) =>
      orNothing(
        send(dev, holder, `${dev.fhir}/${path}`, { headers: { authorization: `Bearer ${holdersToken}` } }),
      ),
    desk: (step: string, document: object) =>
      orNothing(
        send(dev, operator, `${dev.ops}/api/cases${step}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(document),
        }),
      ),
  };
}
type Started = Awaited<ReturnType<typeof startOn>>;

async function casesNow({ desk }: Started): Promise<readonly ListedCase[]> {
  const all: ListedCase[] = [];
  for (let page: readonly ListedCase[] | undefined; page === undefined || page.length === 500;) {
    const found = await desk("", { state: "all", after: all.at(-1)?.id });
    if (found?.status !== 200) throw new Error(found?.text ?? "no answer");
    page = (JSON.parse(found.text) as { readonly cases: readonly ListedCase[] }).cases;
    all.push(...page);
  }
  return all;
}

/** Takes the next step, or the same step again. */
async function step(started: Started, patient: string, asked: Asked): Promise<void> {
  const { fhir, desk, hold } = started;
  const [about, notice] = [{ case: asked.case }, { kind: "person", recipient: `Dr. ${asked.key}` }];
  if (asked.done === "nothing") {
    const reply = await fhir("Communication", asked.key, message(patient, asked));
    if (reply?.status === 409 && Reflect.get(reply.headers, "retry-after") === undefined)
      return void (asked.done = "unknown");
    if (reply?.status !== 200 && reply?.status !== 201) return wait(200);
    asked.place = /Communication\/[^/]+/u.exec(String(Reflect.get(reply.headers, "location")))?.[0] ?? "";
    asked.done = "requested";
  } else if (asked.done === "requested") {
    if (asked.case === undefined) {
      const found = await desk("", { state: "open" }).then((reply) =>
        reply?.status === 200 ? (JSON.parse(reply.text) as { cases: readonly ListedCase[] }).cases : [],
      );
      const own = found.find(({ resource }) => resource === asked.place)?.id;
      if (own === undefined) return wait(50);
      asked.case = own;
    }
    if (asked.isAccepted) {
      if ((await hold(asked.row))?.status !== 200) return wait(50);
      const reply = await fhir("Provenance", undefined, provenance(asked.place ?? "", asked.row));
      if (reply?.status === 201) asked.done = "amended";
      return;
    }
    const document = { case: asked.case, grounds: ["accurate-and-complete"], letter: asked.letter };
    const reply = await desk("/deny", document);
    // an answer was lost: the case is decided
    if (reply?.status === 200 || reply?.text.includes("case_not_open") === true) asked.done = "denied";
  } else if (asked.done === "denied") {
    const reply = await desk("/state", { case: asked.case, kind: "request-and-denial" });
    if (reply?.status === 200 || reply?.text.includes("case_stated") === true) asked.done = "stated";
  } else if (asked.done === "amended") {
    const reply = await desk("/accept", about);
    if (reply?.text.includes("case_not_amended") === true) asked.done = "requested"; // its end was lost
    if (reply?.status === 200 || reply?.text.includes("case_not_open") === true) asked.done = "accepted";
  } else if (asked.done === "accepted") {
    if ((await desk("/notices/find", about))?.status !== 200) return wait(50);
    const reply = await desk("/notices/name", { ...about, recipient: notice.recipient });
    if (reply?.status === 200) asked.done = "named";
  } else if (asked.done === "named") {
    const reply = await desk("/notices/send", { ...about, ...notice, letter: asked.letter });
    if (reply?.status === 200 || reply?.text.includes("notice_not_open") === true) asked.done = "told";
  }
}

test(
  `after ${kills} kills amid requests, denials, statements and notices each request has one case, each case what was answered, each row its statement once, and each notice one letter`,
  { timeout: 10 * 60_000 + kills * 60_000 },
  async ({ expect }) => {
    console.log(`PHYLAX_CRASH_SEED=${seed}`);
    const random = seeded(seed);
    const server = (origin = await startOrigin());
    const port = await freePort();
    const asked = new Map<string, Asked[]>(); // of each patient: open requests of a patient are bounded
    const open = (patient: string) =>
      asked.get(patient)?.find(({ done }) => done !== "stated" && done !== "told" && done !== "unknown");
    for (let kill = 1; kill <= kills; kill += 1) {
      const patients = Array.from({ length: workersAtOnce }, (_, index) => kill * workersAtOnce + index);
      await server.load(patients.map(patientOf));
      const started = await startOn(port, server.url);
      const ending = new AbortController();
      const working = patients.map(async (index) => {
        const patient = `p${index}`;
        const own: Asked[] = [];
        asked.set(patient, own);
        while (!ending.signal.aborted) {
          let next = open(patient);
          if (next === undefined) {
            const row = `${patient}-${own.length}`;
            await server.load([rowOf(row, patient)]);
            const letter = createHash("sha256").update(row).digest("hex");
            const isAccepted = own.length % 2 === 1;
            next = { key: randomUUID(), row: `Observation/${row}`, letter, done: "nothing", isAccepted };
            own.push(next);
          }
          await step(started, patient, next);
        }
      });
      await wait(random.int(500, 5_000));
      const killed = random.int(0, 1) === 1 ? stack?.killAll() : stack?.killRuntime();
      await wait(100);
      ending.abort();
      await Promise.all(working);
      await killed;
      await stack?.killAll();
      closeConnections();
      const counts = Map.groupBy([...asked.values()].flat(), ({ done }) => done);
      console.log(
        JSON.stringify({ kill, ...Object.fromEntries([...counts].map(([k, v]) => [k, v.length])) }),
      );
    }

    const started = await startOn(port, server.url);
    const answered = [...asked.values()].flat().map((each) => Object.assign({}, each));
    const found = await casesNow(started);
    for (const each of answered.filter(({ done }) => done !== "nothing")) {
      const [own, ...more] = found.filter(({ resource }) => resource === each.place);
      expect(more, "one case of a request").toEqual([]);
      expect(own, "no request without its case").toMatchObject({ disputed: [each.row] });
      if (each.done === "denied" || each.done === "stated") expect(own?.denialLetter).toBe(each.letter);
      if (each.done === "accepted" || each.done === "named") expect(own?.decision).toBe("accepted");
      if (each.done === "stated") expect(own?.statedAt).toBeTypeOf("number");
    }
    // each repeat settles: an attempt that was killed has its key for a minute at most
    for (const until = Date.now() + 150_000; Date.now() < until;) {
      const left = [...asked.keys()].filter((patient) => open(patient) !== undefined);
      if (left.length === 0) break;
      for (const patient of left) {
        const one = open(patient);
        if (one !== undefined) await step(started, patient, one);
      }
    }
    expect(
      [...asked.keys()].filter((patient) => open(patient)),
      "each repeat settles",
    ).toEqual([]);
    const all = [...asked.values()].flat().filter(({ done }) => done === "stated");
    const cases = await casesNow(started);
    expect(all.length).toBeGreaterThan(kills * workersAtOnce);
    for (const [patient, own] of asked) {
      const places = own.map(({ place }) => place);
      const ofPatient = cases.filter((each) => each.patient === `Patient/${patient}`);
      const [known, unconfirmed] = [true, false].map((isKnown) =>
        ofPatient.filter(({ resource }) => (resource !== null) === isKnown),
      );
      expect(known?.map(({ resource }) => resource).toSorted(), "one case of each request").toEqual(
        places.filter((place) => place !== undefined).toSorted(),
      );
      // an attempt that was killed leaves a case, which an officer confirms or voids
      const unknown = own.filter(({ done }) => done === "unknown");
      expect(unconfirmed?.length, "no clock is lost").toBeGreaterThanOrEqual(unknown.length);
      expect(unconfirmed?.filter(({ decision }) => decision !== null)).toEqual([]);
      const stored: Page = await (
        await fetch(`${server.url}/Communication?patient=${patient}&_count=1000`)
      ).json();
      const keys = (stored.entry ?? []).map(({ resource }) => resource.identifier[0]?.value ?? "");
      expect(new Set(keys).size, "no request is there twice").toBe(keys.length);
      const missing = own.filter(({ key, done }) => done !== "unknown" && !keys.includes(key));
      expect(missing, "no request is lost").toEqual([]);
    }
    await wait(10_000); // an isolate knows each statement after ten seconds
    for (const { row } of all) {
      const read = await started.fhir(row);
      const { extension = [] } = JSON.parse(read?.text ?? "{}");
      expect([row, extension.map(({ url }: { url: string }) => url)]).toEqual([
        row,
        ["urn:phylax:statement"],
      ]);
    }
    const records = await openLedger(started.dev);
    const told = [...asked.values()].flat().filter(({ done }) => done === "told");
    expect(told.length).toBeGreaterThan(0);
    for (const { case: id = "none", key, letter, row } of told) {
      const reply = await started.desk("", { case: id });
      const [own] = (JSON.parse(reply?.text ?? "{}") as { readonly cases: readonly ListedCase[] }).cases;
      expect(own?.decision, row).toBe("accepted");
      expect(own?.notices, "no notice is lost, and none is there twice").toMatchObject([
        { kind: "holder", recipient: "telehealth", letter: null, endedAt: null },
        { kind: "person", recipient: `Dr. ${key}`, letter, reason: null },
      ]);
      const sends = records.filter(
        ({ event: { what, document } }) =>
          what?.interaction === "send-notice" && document?.text?.includes(id) === true,
      );
      const ends = records.filter(
        ({ event }) => event.outcome?.status === 200 && sends.some((each) => each.event.id === event.id),
      );
      expect(sends.length, "the sending is on record").toBeGreaterThan(0);
      expect(ends.length, "and was done once at most").toBeLessThanOrEqual(1);
    }
    const documents = records.flatMap(({ event: { what, document } }) =>
      document === undefined ? [] : [`${what?.interaction ?? ""} ${document.text}`],
    );
    for (const interaction of ["deny-case", "state-case"])
      for (const each of all)
        expect(
          documents.some((text) => text.startsWith(interaction) && text.includes(each.case ?? "none")),
          `${interaction} is on record`,
        ).toBe(true);
    console.log(JSON.stringify({ kills, requests: all.length }));
  },
);
