import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { askServer } from "#platform/ask-server";
import { originAddress } from "#platform/origins/origin-address";
import { originTokens, type BearerSource } from "#platform/origins/origin-tokens";
import { storedBearers } from "#platform/origins/stored-bearer";
import type { RegistryDocument } from "#registry/document";
import { secretNamesIn } from "#platform/config/secret-names";
import { FhirClient } from "./fhir-client.ts";

/**
 * Asks the server of an entry with the entry's credentials, whose secrets are read from the environment. A
 * text says why it cannot.
 *
 * @param readable the variables that the operator named; undefined: the operator named the entry itself.
 */
export function clientOfEntry(
  entry: RegistryDocument["origins"][number],
  until?: AbortSignal,
  readable?: readonly string[],
): FhirClient | string {
  const { url, credentials } = entry;
  const urls = [url, ...("tokenEndpoint" in credentials ? [credentials.tokenEndpoint] : [])];
  const hosts = new Set(urls.map((one) => new URL(one).host));
  const named = secretNamesIn(entry).map(({ name }) => name);
  const unnamed = named.find((variable) => readable?.includes(variable) === false);
  if (unnamed !== undefined)
    return `its secret is read from the environment only with --secret-from ${unnamed}`;
  const place = {
    clock: () => instant(Date.now()),
    wait: (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    keepAlive: () => {},
  };
  try {
    const { bearer, headers } = originAddress(entry, {
      secrets: {
        valueOf: (variable) => process.env[variable],
        secretHosts: new Map(named.map((one) => [one, hosts])),
      },
      tokens: originTokens(askServer(hosts), place),
      bearers: storedBearers(place),
    });
    const current = async (source: Secret | BearerSource) =>
      source instanceof Secret ? source : source.current();
    return new FhirClient(
      url,
      async () => bearer && current(bearer),
      until,
      async () =>
        Promise.all(headers.map(async ([name, value]) => [name, (await current(value)).reveal()] as const)),
    );
  } catch (fault) {
    return fault instanceof Error ? fault.message : "the credentials of the entry cannot be used";
  }
}
