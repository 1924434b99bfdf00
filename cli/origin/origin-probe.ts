import { Misuse } from "../misuse.ts";
import { readFileSync } from "node:fs";
import { Secret } from "#kernel/secret";
import { registryDocument, type RegistryDocument } from "#registry/document";
import { clientOfEntry } from "./client-of-entry.ts";
import { FhirClient } from "./fhir-client.ts";
import { probeOrigin } from "./probe-origin.ts";
import { posterOf, posterOptions } from "../connection/operator-post.ts";
import { recordFindings } from "./record-findings.ts";
import { complain, giveResult, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

/**
 * Asks a FHIR server what it does, and prints the members for its entry in the registry file. The server is
 * asked directly, with the credentials of the entry or with a bearer token from the environment. With `--record`
 * the findings go on record. Returns 0, 1 if there is no FHIR server, a synthetic resource could not be deleted
 * or the findings were not recorded, 2 for a misuse.
 */
export async function originProbe(args: readonly string[]): Promise<number> {
  const { values, name: asked } = readNamedCall(args, {
    registry: { type: "string" },
    "bearer-from": { type: "string" },
    "allow-writes": { type: "boolean", default: false },
    record: { type: "boolean", default: false },
    ...posterOptions,
  });
  // A record names a registered origin, not an address.
  if (values.record && /^https?:/u.test(asked)) throw new Misuse();
  const client = /^https?:\/\//u.test(asked)
    ? clientAt(asked.replace(/\/+$/u, ""), values["bearer-from"])
    : clientOf(asked, values.registry);
  if (typeof client === "string") {
    complain(client);
    return 2;
  }
  const report = await probeOrigin(client, values["allow-writes"]);
  if (report === undefined) {
    complain(`${asked}: no CapabilityStatement below this base: check the address and the credentials`);
    return 1;
  }
  giveResult({ members: report.members, notes: report.notes });
  say(JSON.stringify(report.members, undefined, 2));
  for (const note of report.notes) complain(note);
  if (!values.record) return report.isClean ? 0 : 1;
  const answer = await recordFindings(posterOf(values), { name: asked, url: client.base }, report);
  for (const line of answer.lines) complain(line);
  return report.isClean && answer.isRecorded ? 0 : 1;
}

/** The server at an address; a text says why not. */
function clientAt(base: string, variable: string | undefined): FhirClient | string {
  if (variable === undefined) return new FhirClient(base, async () => undefined);
  const token = process.env[variable];
  if (token === undefined || token === "") return `${variable} is not set`;
  return new FhirClient(base, async () => new Secret(token));
}

/** The server of an entry of a registry file; a text says why not. */
function clientOf(name: string, file: string | undefined): FhirClient | string {
  if (file === undefined) return `${name} is no URL: name its registry file with --registry`;
  const document = readDocument(file);
  if (document === undefined) return `${file}: is no registry file`;
  const entry = document.origins.find((origin) => origin.name === name);
  return entry === undefined ? `${file}: has no origin ${name}` : clientOfEntry(entry);
}

function readDocument(file: string): RegistryDocument | undefined {
  try {
    const read = registryDocument.safeParse(JSON.parse(readFileSync(file, "utf8")));
    return read.success ? read.data : undefined;
  } catch {
    return undefined;
  }
}
