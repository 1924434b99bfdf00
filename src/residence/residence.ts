import type { Instant } from "#kernel/clock";
import { utf8 } from "#fhir/json/bytes";
import { isArray, isObject, property, textAt, type JsonObject } from "#fhir/json/json";
import { holdsAt } from "#fhir/period";
import { countryNamed, stateNamed } from "./us-states.ts";

/** Where somebody lives who lives in no State of the United States. */
export const outsideUs = "outside US";

/** Of UTF-8: the longest name of a State has 24, and so many fit one append of the ledger for each patient of a window (`patientsMax`). What is longer is no name. */
export const stateBytesMax = 32;

// Whoever says nothing more of an address means the usual one. Where bills go and where somebody works is rarely another State, and better than nothing.
const uses = ["home", undefined, "temp", "billing", "work"];

/**
 * The state in which a patient lives at a time, by `Patient.address` (FHIR R4 datatypes §2.24.0.7): the USPS code where a State is named
 * (45 CFR 160.103), {@link outsideUs} where the country is another one, else what `state` says, of at most 32 bytes; nothing where no address
 * says. Of the addresses in use (not `old`, their period holding) the first that says by its `use` (home, none, temp, billing, work), of one
 * use those first that are not for the post alone. A postal code says nothing: some cross State lines.
 */
export function residenceOf(patient: JsonObject, at: Instant): string | undefined {
  const addresses = property(patient, "address");
  if (!isArray(addresses)) return undefined;
  const inUse = addresses
    .filter(isObject)
    .filter((one) => textAt(one, "use") !== "old" && holdsAt(property(one, "period"), at));
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
  if (country === "elsewhere") return outsideUs; // whatever the state: Brazil has an MA too
  if (country !== undefined && country !== "us") return country;
  const state = textAt(address, "state") ?? "";
  return stateNamed(state) ?? asSaid(state);
}

/** Without what is not to be seen, such as a terminal's commands: an auditor reads it. */
function asSaid(text: string): string | undefined {
  const said = text.replace(/[\p{C}\s]+/gu, " ").trim();
  return said !== "" && utf8(said).length <= stateBytesMax ? said : undefined;
}
