import { randomBytes, randomUUID } from "node:crypto";
import { isObject, property, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { matchesIn, type FhirClient, type FhirReply } from "./fhir-client.ts";

/** The findings of writes of synthetic resources; `undefined`: the server refused a request of the question. */
export interface FoundWrites {
  readonly updateAsCreate: boolean | undefined;
  readonly honoursIfMatchOnUpdate: boolean | undefined;
  readonly honoursIfMatchOnDelete: boolean | undefined;
  readonly honoursIfNoneExist: boolean | undefined;
  readonly transactions: "atomic" | "partial" | undefined;
  readonly everything: "with-type" | "without-type" | "none" | undefined;
  readonly elements: boolean | undefined;
  readonly chains: boolean | undefined;
  /** The interactions with versions that answered for a Patient; `undefined`: not tried. */
  readonly history: ReadonlySet<string> | undefined;
  readonly replies: readonly FhirReply[];
  /** `Type/id` of the probe's resources that could not be deleted. */
  readonly left: readonly string[];
}

const probeSystem = "urn:phylax:probe";

/**
 * Writes two kinds of synthetic resources, looks at the results, and deletes them. Each has an
 * identifier of the system `urn:phylax:probe` and the label `HTEST` (test health data).
 */
export async function probeWrites(client: FhirClient): Promise<FoundWrites> {
  const probe = new WriteProbe(client);
  try {
    await probe.run();
  } finally {
    await probe.clean();
  }
  return probe.found();
}

const stale = [400, 409, 412, 422];
const isDone = ({ status }: FhirReply) => status === 200 || status === 201 || status === 204;

class WriteProbe {
  readonly #client: FhirClient;
  readonly #run = randomUUID();
  readonly #made = new Set<string>();
  readonly #left: string[] = [];
  readonly #replies: FhirReply[] = [];
  #found: Partial<Omit<FoundWrites, "history" | "replies" | "left">> = {};
  #history: Set<string> | undefined;

  constructor(client: FhirClient) {
    this.#client = client;
  }

  found(): FoundWrites {
    const nothing = {
      updateAsCreate: undefined,
      honoursIfMatchOnUpdate: undefined,
      honoursIfMatchOnDelete: undefined,
      honoursIfNoneExist: undefined,
      transactions: undefined,
      everything: undefined,
      elements: undefined,
      chains: undefined,
    };
    return {
      ...nothing,
      ...this.#found,
      history: this.#history,
      replies: this.#replies,
      left: this.#left.toSorted(),
    };
  }

  async run(): Promise<void> {
    const name = `${this.#run}-1`;
    const patient = await this.#create("Patient", patientOf(name));
    await this.#updateAsCreate();
    if (patient === undefined) return;
    await this.#ifNoneExist(name);
    await this.#ifMatchOnUpdate(patient, name);
    await this.#histories(patient);
    await this.#elements(patient);
    const observation = await this.#create("Observation", observationOf(`${this.#run}-2`, patient));
    if (observation !== undefined) await this.#everything(patient, observation);
    if (observation !== undefined) await this.#ifMatchOnDelete(observation);
    await this.#chains();
    await this.#transaction();
  }

  /** Deletes every created resource, also resources that the server created without an answer. */
  async clean(): Promise<void> {
    for (const type of ["Observation", "Patient", "Practitioner"])
      for (const name of ["1", "2", "3", "4", "5", "6", "7", "8"])
        for (const id of await this.#named(type, `${this.#run}-${name}`)) this.#made.add(`${type}/${id}`);
    // observations first: a server may refuse to delete a patient to whom a row refers
    for (const path of [...this.#made].toSorted()) {
      await this.#client.ask({ method: "DELETE", path });
      const { status } = await this.#client.ask({ path });
      if (status !== 404 && status !== 410) this.#left.push(path);
    }
  }

  async #create(type: string, resource: JsonObject): Promise<string | undefined> {
    const reply = await this.#client.ask({
      method: "POST",
      path: type,
      resource,
      headers: { prefer: "return=representation" },
    });
    this.#replies.push(reply);
    if (!isDone(reply)) return undefined;
    const located = new RegExp(`(?:^|/)${type}/(?<id>[A-Za-z0-9.-]{1,64})(?:/|$)`, "u").exec(
      reply.location ?? "",
    );
    const id = (reply.body && textAt(reply.body, "id")) ?? located?.groups?.["id"];
    if (id !== undefined) this.#made.add(`${type}/${id}`);
    return id;
  }

  async #named(type: string, name: string): Promise<readonly string[]> {
    const query = `identifier=${encodeURIComponent(`${probeSystem}|${name}`)}`;
    const rows = matchesIn(await this.#client.ask({ path: `${type}?${query}` })) ?? [];
    // the server may ignore the parameter: only the probe's own resources count
    return rows.filter((row) => isNamed(row, name)).flatMap((row) => textAt(row, "id") ?? []);
  }

  async #updateAsCreate(): Promise<void> {
    // An id as the gateway gives to a create under an Idempotency-Key: some servers take only UUIDs.
    const id = `w-${randomBytes(20).toString("hex")}`;
    const resource = { ...patientOf(`${this.#run}-3`), id };
    const reply = await this.#client.ask({ method: "PUT", path: `Patient/${id}`, resource });
    const read = await this.#client.ask({ path: `Patient/${id}` });
    const isThere = read.status === 200 && read.body !== undefined && textAt(read.body, "id") === id;
    if (isThere) this.#made.add(`Patient/${id}`);
    if (isDone(reply) || (reply.status >= 400 && reply.status < 500))
      this.#found = { ...this.#found, updateAsCreate: isThere };
  }

  async #ifNoneExist(name: string): Promise<void> {
    const before = await this.#named("Patient", name);
    if (before.length !== 1) return; // the server does not find the resource: nothing can be shown
    const reply = await this.#client.ask({
      method: "POST",
      path: "Patient",
      resource: patientOf(name),
      headers: { "if-none-exist": `identifier=${encodeURIComponent(`${probeSystem}|${name}`)}` },
    });
    const after = await this.#named("Patient", name);
    for (const id of after) this.#made.add(`Patient/${id}`);
    if (isDone(reply)) this.#found = { ...this.#found, honoursIfNoneExist: after.length === 1 };
    else if (reply.status >= 400 && reply.status < 500)
      this.#found = { ...this.#found, honoursIfNoneExist: false };
  }

  async #ifMatchOnUpdate(id: string, name: string): Promise<void> {
    const path = `Patient/${id}`;
    const first = versionIn(await this.#client.ask({ path }));
    if (first === undefined) return;
    const update = (gender: string, version: string) =>
      this.#client.ask({
        method: "PUT",
        path,
        resource: { ...patientOf(name), id, gender },
        headers: { "if-match": `W/"${version}"` },
      });
    if (!isDone(await update("other", first))) return;
    const late = await update("unknown", first);
    const now = await this.#client.ask({ path });
    const isKept = now.body !== undefined && textAt(now.body, "gender") === "other";
    if (isDone(late) || stale.includes(late.status))
      this.#found = { ...this.#found, honoursIfMatchOnUpdate: stale.includes(late.status) && isKept };
  }

  async #ifMatchOnDelete(id: string): Promise<void> {
    const path = `Observation/${id}`;
    const read = await this.#client.ask({ path });
    const first = versionIn(read);
    if (first === undefined || read.body === undefined) return;
    const changed = await this.#client.ask({
      method: "PUT",
      path,
      resource: { ...read.body, valueString: "changed" },
    });
    if (!isDone(changed)) return;
    const late = await this.#client.ask({ method: "DELETE", path, headers: { "if-match": `W/"${first}"` } });
    const { status } = await this.#client.ask({ path });
    if (isDone(late) || stale.includes(late.status))
      this.#found = { ...this.#found, honoursIfMatchOnDelete: stale.includes(late.status) && status === 200 };
  }

  async #histories(id: string): Promise<void> {
    const isHistory = ({ status, body }: FhirReply) =>
      status === 200 && body !== undefined && textAt(body, "type") === "history";
    this.#history = new Set();
    const instance = await this.#client.ask({ path: `Patient/${id}/_history` });
    if (isHistory(instance)) this.#history.add("history-instance");
    if (isHistory(await this.#client.ask({ path: "Patient/_history?_count=1" })))
      this.#history.add("history-type");
    const version = versionIn(await this.#client.ask({ path: `Patient/${id}` }));
    if (version === undefined) return;
    const read = await this.#client.ask({ path: `Patient/${id}/_history/${version}` });
    if (read.status === 200 && versionIn(read) === version) this.#history.add("vread");
  }

  async #elements(id: string): Promise<void> {
    const rows = matchesIn(await this.#client.ask({ path: `Patient?_id=${id}&_elements=gender` }));
    const row = rows?.find((one) => textAt(one, "id") === id);
    if (row !== undefined) this.#found = { ...this.#found, elements: property(row, "name") === undefined };
  }

  /** Whether a chain to the patient's general practitioner finds the row, and one to a stranger does not. */
  async #chains(): Promise<void> {
    const practitioner = await this.#create("Practitioner", {
      resourceType: "Practitioner",
      meta,
      identifier: [{ system: probeSystem, value: `${this.#run}-6` }],
      active: false,
    });
    if (practitioner === undefined) return;
    const generalPractitioner = [{ reference: `Practitioner/${practitioner}` }];
    const patient = await this.#create("Patient", { ...patientOf(`${this.#run}-7`), generalPractitioner });
    if (patient === undefined) return;
    const observation = await this.#create("Observation", observationOf(`${this.#run}-8`, patient));
    if (observation === undefined) return;
    const finds = async (chain: string, of: string): Promise<boolean> => {
      const query = `${chain}.general-practitioner=Practitioner/${of}&_count=50`;
      const rows = matchesIn(await this.#client.ask({ path: `Observation?${query}` })) ?? [];
      return rows.some((row) => textAt(row, "id") === observation);
    };
    let chains = true;
    for (const chain of ["patient", "subject:Patient"])
      chains &&= (await finds(chain, practitioner)) && !(await finds(chain, this.#run));
    this.#found = { ...this.#found, chains };
  }

  async #everything(patient: string, observation: string): Promise<void> {
    const has = ({ status, body }: FhirReply) =>
      status === 200 &&
      body !== undefined &&
      valuesAt(body, ["entry", "resource", "id"]).includes(observation);
    const path = `Patient/${patient}/$everything`;
    const whole = await this.#client.ask({ path });
    if (!has(whole)) {
      if (whole.status >= 400 && whole.status < 500) this.#found = { ...this.#found, everything: "none" };
      return;
    }
    const typed = has(await this.#client.ask({ path: `${path}?_type=Observation,Patient` }));
    this.#found = { ...this.#found, everything: typed ? "with-type" : "without-type" };
  }

  /** A transaction of one create shows that the server takes transactions; a spoilt one shows if it is atomic. */
  async #transaction(): Promise<void> {
    const good = `${this.#run}-4`;
    const fine = await this.#send([postOf(patientOf(good))]);
    if (!isDone(fine) || (await this.#named("Patient", good)).length === 0) return;
    for (const spoilt of [
      { resourceType: "Patient", gender: "no such gender", birthDate: "no date", active: "perhaps" },
      { resourceType: "NoSuchType" },
    ]) {
      const name = `${this.#run}-5`;
      const reply = await this.#send([postOf(patientOf(name)), postOf(spoilt)]);
      const statuses = valuesAt(reply.body ?? {}, ["entry", "response", "status"]).map(String);
      const isRefused = !isDone(reply) || statuses.some((status) => /^[45]/u.test(status));
      const isStored = (await this.#named("Patient", name)).length > 0;
      if (!isRefused) continue; // the server took it: nothing is shown
      this.#found = { ...this.#found, transactions: isStored ? "partial" : "atomic" };
      return;
    }
  }

  #send(entry: readonly object[]): Promise<FhirReply> {
    return this.#client.ask({
      method: "POST",
      path: "",
      resource: { resourceType: "Bundle", type: "transaction", entry },
    });
  }
}

const postOf = (resource: JsonObject) => ({
  fullUrl: `urn:uuid:${randomUUID()}`,
  resource,
  request: { method: "POST", url: textAt(resource, "resourceType") ?? "" },
});

const meta = {
  tag: [{ system: "http://terminology.hl7.org/CodeSystem/v3-ActReason", code: "HTEST" }],
};

const patientOf = (name: string): JsonObject => ({
  resourceType: "Patient",
  meta,
  identifier: [{ system: probeSystem, value: name }],
  active: false,
  name: [{ family: "Phylax-Probe" }],
  gender: "unknown",
});

const observationOf = (name: string, patient: string): JsonObject => ({
  resourceType: "Observation",
  meta,
  identifier: [{ system: probeSystem, value: name }],
  status: "entered-in-error",
  code: { text: "phylax probe" },
  subject: { reference: `Patient/${patient}` },
});

const isNamed = (row: JsonObject, name: string): boolean =>
  valuesAt(row, ["identifier"]).some(
    (one) => isObject(one) && textAt(one, "system") === probeSystem && textAt(one, "value") === name,
  );

function versionIn({ status, body }: FhirReply): string | undefined {
  const meta = status === 200 && body !== undefined ? property(body, "meta") : undefined;
  return meta !== undefined && isObject(meta) ? textAt(meta, "versionId") : undefined;
}
