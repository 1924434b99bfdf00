import type { Resource } from "@medplum/fhirtypes";
import { loadFolder } from "./load.ts";
import { startOrigin } from "../origin/server.ts";
import { syntheticResources } from "../synthetic/generate.ts";

export interface FhirServerOptions {
  /** A folder of FHIR bundles; undefined: the synthetic patients. */
  readonly bundles: string | undefined;
  /** Base of an existing FHIR server: no server is started then. */
  readonly origin?: string | undefined;
  /** The bearer token of an existing server; without one it is asked without. */
  readonly bearer?: string;
  /** The port of a server that is started here; without it any free port. */
  readonly port?: number | undefined;
  readonly onOriginRequest?:
    | ((request: { readonly method: string; readonly path: string }) => void)
    | undefined;
}

/** The FHIR server behind the gateway. */
export interface FhirServer {
  /** FHIR base without a trailing slash. */
  readonly url: string;
  /**
   * FHIR id of an existing patient, for the client that is limited to a patient; undefined when none is
   * known.
   */
  readonly patient: string | undefined;
  /** FHIR ids of the patients who can sign in: that patient first, three at most. */
  readonly patients: readonly string[];
  /** FHIR id of a practitioner of that patient, who can sign in too; undefined when none is known. */
  readonly practitioner: string | undefined;
  readonly describe: string;
  close(): Promise<void>;
}

// The best known of the synthetic patients: the README reads her chart.
const amara = "amara-okafor";
const patienceMilliseconds = 5_000;

/**
 * The sandbox's own FHIR server with its data loaded, or the existing server. Throws when the folder has no
 * resource.
 */
export async function openFhirServer({
  bundles,
  origin,
  bearer = "",
  port = 0,
  onOriginRequest,
}: FhirServerOptions): Promise<FhirServer> {
  if (origin !== undefined) return await askServer(origin, bearer);
  const server = await startOrigin({ port, ...(onOriginRequest && { onRequest: onOriginRequest }) });
  try {
    const resources: Resource[] = bundles === undefined ? syntheticResources() : await loadFolder(bundles);
    await server.load(resources);
    const patients = resources
      .filter(({ resourceType }) => resourceType === "Patient")
      .flatMap(({ id }) => id ?? []);
    const patient = patients.includes(amara) ? amara : patients[0];
    return {
      url: server.url,
      patient,
      patients: [...new Set([patient ?? [], patients.slice(0, 3)].flat())].slice(0, 3),
      practitioner: patient === undefined ? undefined : practitionerOf(resources, patient),
      describe: `${resources.length} resources of ${patients.length} patients`,
      close: () => server.close(),
    };
  } catch (fault) {
    await server.close();
    throw fault;
  }
}

/** The general practitioner of a patient, or who saw the patient at an encounter. */
function practitionerOf(resources: readonly Resource[], patient: string): string | undefined {
  for (const resource of resources) {
    const named =
      resource.resourceType === "Patient" && resource.id === patient
        ? resource.generalPractitioner
        : resource.resourceType === "Encounter" && resource.subject?.reference === `Patient/${patient}`
          ? resource.participant?.map(({ individual }) => individual)
          : undefined;
    for (const { reference } of named?.filter((one) => one !== undefined) ?? []) {
      const id = /^Practitioner\/([A-Za-z0-9.-]{1,64})$/u.exec(reference ?? "")?.[1];
      if (id !== undefined) return id;
    }
  }
  return undefined;
}

/** A server that does not answer now may answer later, so it is registered all the same. */
async function askServer(url: string, bearer: string): Promise<FhirServer> {
  const there = { url, practitioner: undefined, close: async () => {} };
  try {
    const response = await fetch(`${url}/Patient?_count=1`, {
      headers: {
        accept: "application/fhir+json",
        ...(bearer !== "" && { authorization: `Bearer ${bearer}` }),
      },
      redirect: "error",
      signal: AbortSignal.timeout(patienceMilliseconds),
    });
    const patient = response.ok ? firstPatient(await response.json()) : undefined;
    return {
      ...there,
      patient,
      patients: [patient ?? []].flat(),
      describe: `a FHIR server of yours (it answers ${response.status})`,
    };
  } catch {
    return {
      ...there,
      patient: undefined,
      patients: [],
      describe: "a FHIR server of yours (it does not answer now)",
    };
  }
}

/** The id of the first Patient of a searchset. */
function firstPatient(bundle: {
  readonly entry?: readonly {
    readonly resource?: { readonly resourceType?: unknown; readonly id?: unknown };
  }[];
}) {
  const found = bundle.entry?.find(({ resource }) => resource?.resourceType === "Patient")?.resource?.id;
  return typeof found === "string" && /^[A-Za-z0-9.-]{1,64}$/u.test(found) ? found : undefined;
}
