import { isPrivateUrl } from "#fhir/loopback";
import * as z from "zod";
import { jsonSetting } from "#platform/config/json-setting";
import { parseWitnessKey } from "#ledger/tlog/cosignature";
import type { Verifier } from "#ledger/tlog/signed-note";

/** A witness that the root log asks for cosignatures. */
export interface WitnessPlace {
  readonly url: string; // its submission prefix, without a trailing slash
  readonly verifier: Verifier;
}

const places = z.array(z.strictObject({ url: z.string(), key: z.string() })).max(16);

/**
 * Reads `WITNESSES`: an array, or its JSON, of `{url, key}`. Throws for a witness that could not be asked or
 * checked.
 */
export function readWitnesses(value: unknown): WitnessPlace[] {
  const read = places.safeParse(jsonSetting(value));
  if (!read.success) return bad();
  const witnesses = read.data.map(({ url, key }) => {
    const verifier = parseWitnessKey(key);
    return verifier.ok && isPlace(url) ? { url: url.replace(/\/+$/, ""), verifier: verifier.value } : bad();
  });
  return new Set(witnesses.map(({ verifier }) => verifier.name)).size === witnesses.length
    ? witnesses
    : bad();
}

/** Plain HTTP is only for this machine: a development witness. */
function isPlace(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    return false;
  return isPrivateUrl(url);
}

function bad(): never {
  throw new Error(
    "configuration: WITNESSES: an array of {url, key}, each with an https URL and a witness's verifier key, no name twice",
  );
}
