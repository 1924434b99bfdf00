import { Misuse } from "../misuse.ts";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { askServer } from "#platform/ask-server";
import { originAddress } from "#platform/origins/origin-address";
import { originTokens } from "#platform/origins/origin-tokens";
import { storedBearers } from "#platform/origins/stored-bearer";
import { registryDocument, type RegistryDocument } from "#registry/document";
import { FhirClient } from "./fhir-client.ts";
import { probeOrigin } from "./probe-origin.ts";
import { complain, giveResult, say } from "../output.ts";

/**
 * Asks a FHIR server what it does, and prints the members for its entry in the registry file. The server is
 * asked directly, with the credentials of the entry or with a bearer token from the environment. Returns 0,
 * 1 if there is no FHIR server or a synthetic resource could not be deleted, 2 for a misuse.
 */
export async function originProbe(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      registry: { type: "string" },
      "bearer-from": { type: "string" },
      "allow-writes": { type: "boolean", default: false },
    },
  });
  const [asked, ...more] = positionals;
  if (asked === undefined || more.length > 0) throw new Misuse();
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
  return report.isClean ? 0 : 1;
}

/** The server at an address; a text says why not. */
function clientAt(base: string, variable: string | undefined): FhirClient | string {
  if (variable === undefined) return new FhirClient(base, async () => undefined);
  const token = process.env[variable];
  if (token === undefined || token === "") return `${variable} is not set`;
  return new FhirClient(base, async () => new Secret(token));
}

/** The server of an entry, with the entry's credentials; secrets are read from the environment. */
function clientOf(name: string, file: string | undefined): FhirClient | string {
  if (file === undefined) return `${name} is no URL: name its registry file with --registry`;
  const document = readDocument(file);
  if (document === undefined) return `${file}: is no registry file`;
  const entry = document.origins.find((origin) => origin.name === name);
  if (entry === undefined) return `${file}: has no origin ${name}`;
  const { url, credentials } = entry;
  const urls = [url, ...("tokenEndpoint" in credentials ? [credentials.tokenEndpoint] : [])];
  const hosts = new Set(urls.map((one) => new URL(one).host));
  const secret = "secret" in credentials ? [credentials.secret] : [];
  const place = {
    clock: () => instant(Date.now()),
    wait: (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    keepAlive: () => {},
  };
  try {
    const { bearer } = originAddress(entry, {
      secrets: {
        valueOf: (variable) => process.env[variable],
        secretHosts: new Map(secret.map((one) => [one, hosts])),
      },
      tokens: originTokens(askServer(hosts), place),
      bearers: storedBearers(place),
    });
    return new FhirClient(url, async () =>
      bearer === undefined || bearer instanceof Secret ? bearer : bearer.current(),
    );
  } catch (fault) {
    return fault instanceof Error ? fault.message : "the credentials of the entry cannot be used";
  }
}

function readDocument(file: string): RegistryDocument | undefined {
  try {
    const read = registryDocument.safeParse(JSON.parse(readFileSync(file, "utf8")));
    return read.success ? read.data : undefined;
  } catch {
    return undefined;
  }
}
