import type { Instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { isArray, isObject, property, textAt, type JsonObject } from "#fhir/json/json";
import { holdsAt } from "#fhir/period";
import { countryNamed, stateNamed } from "./us-states.ts";

/** The residence of a patient who lives in no State of the United States. */
export const outsideUs = "outside US";

/**
 * Bytes of UTF-8. The longest name of a State has 24, and this many fit into an append to the ledger for
 * each patient of a window (`patientsMax`). A longer text is no name.
 */
export const stateBytesMax = 32;

// An address without `use` is the usual address. The State of a billing or work address is rarely another
// State, and better than no answer.
const uses = ["home", undefined, "temp", "billing", "work"];

/** The names of the members that {@link residenceOf} reads of an address, at any depth. */
export const residenceNames: ReadonlySet<string> = new Set([
  "use",
  "type",
  "period",
  "start",
  "end",
  "country",
  "state",
]);

/**
 * The state in which a patient lives at a time, by `Patient.address` (FHIR R4 datatypes §2.24.0.7). The
 * result is the USPS code if a State is named (45 CFR 160.103), {@link outsideUs} if the country is another
 * country, and otherwise the text of `state`, of at most 32 bytes. It is undefined if no address names a
 * state. Addresses in use count (not `old`, and within their period), in the order of their `use` (home,
 * none, temp, billing, work); within the same `use`, postal-only addresses come last. A postal code does
 * not count, because some cross State lines.
 */
export function residenceOf(patient: JsonObject, at: Instant): string | undefined {
  const addresses = property(patient, "address");
  if (!isArray(addresses)) return undefined;
  const inUse = addresses
    .filter(isObject)
    .filter((address) => textAt(address, "use") !== "old" && holdsAt(property(address, "period"), at));
  for (const address of inUse.toSorted((a, b) => rankOf(a) - rankOf(b))) {
    const state = stateIn(address);
    if (state !== undefined) return state;
  }
  return undefined;
}

function rankOf(address: JsonObject): number {
  const use = uses.indexOf(textAt(address, "use"));
  return (use === -1 ? uses.length : use) * 2 + (textAt(address, "type") === "postal" ? 1 : 0);
}

function stateIn(address: JsonObject): string | undefined {
  const country = countryNamed(textAt(address, "country") ?? "");
  if (country === "elsewhere") return outsideUs; // for any state: Brazil has an MA too
  if (country !== undefined && country !== "us") return country;
  const state = textAt(address, "state") ?? "";
  return stateNamed(state) ?? visibleText(state);
}

/** Without invisible characters, such as terminal commands: an auditor reads this text. */
function visibleText(text: string): string | undefined {
  const visible = text.replace(/[\p{C}\s]+/gu, " ").trim();
  return visible !== "" && utf8(visible).length <= stateBytesMax ? visible : undefined;
}
