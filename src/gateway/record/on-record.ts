import type { AuditEvent } from "#audit/event";
import { includeText } from "#fhir/search/include";
import type { Interaction } from "#fhir/interaction";
import { namesNoPatient } from "#fhir/r4/compartment-tables";
import { listingQuery, type EverythingRequest, type HistoryRequest } from "#fhir/listing";
import type { Search } from "#fhir/search/search";
import { conditionTexts } from "#fhir/search/condition";

/** The interaction as the record names it. Search values may name a patient; the record is sealed. */
export function onRecord(interaction: Interaction | undefined): NonNullable<AuditEvent["what"]> {
  if (interaction === undefined) return {};
  switch (interaction.kind) {
    case "read":
    case "vread":
    case "update":
    case "patch":
    case "delete":
      return { interaction: interaction.kind, type: interaction.type, id: interaction.id };
    case "create":
      return { interaction: "create", type: interaction.type };
    case "search":
      return {
        interaction: "search-type",
        type: interaction.type,
        parameters: [...written(interaction), ...counted(interaction)],
      };
    case "history": {
      const { type, id } = interaction;
      return {
        interaction: id === undefined ? "history-type" : "history-instance",
        type,
        id,
        parameters: listed(interaction),
      };
    }
    case "everything":
      return {
        interaction: interaction.within === "operation" ? "$everything" : `search-${interaction.within}`,
        type: interaction.id === undefined ? undefined : interaction.type,
        id: interaction.id,
        parameters: listed(interaction),
      };
    case "lastn":
      return {
        interaction: `$${interaction.kind}`,
        type: interaction.type,
        parameters: [...written(interaction), ["max", String(interaction.max)]],
      };
    case "disclosures": {
      const { type, id, start, end, all, summed, recipient, purpose, place } = interaction;
      const stated = {
        start: start?.text,
        end: end?.text,
        all: String(all),
        summed: summed ? "true" : undefined,
        recipient,
        purpose,
        place,
      };
      const parameters = Object.entries(stated).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value] as const],
      );
      return { interaction: `$${interaction.kind}`, type, id, parameters };
    }
    case "validate":
      return { interaction: `$${interaction.kind}`, type: interaction.type, id: interaction.id };
    case "capabilities":
      return interaction.asExport ?? { interaction: "capabilities" };
    case "conditional-update":
    case "conditional-patch":
    case "conditional-delete":
      return {
        interaction: interaction.kind,
        type: interaction.type,
        parameters: written(interaction.criteria),
      };
    case "fileConsent":
    case "revokeConsent":
      return { interaction: `$${interaction.kind}`, type: interaction.type };
    case "batch":
      return { interaction: "batch" };
  }
}

/** Chains and includes, by their names in a query. */
function written({ parameters, joins, includes }: Search): readonly (readonly [string, string])[] {
  return [...conditionTexts({ parameters, joins }), ...includes.map(includeText)].map(pairOf);
}

/** The number that is asked for. `all`: of each visible row of a type that names no patient (ADR 114). */
function counted({ type, total }: Search): readonly (readonly [string, string])[] {
  if (total === undefined) return [];
  const form = total === "alone" ? (["_summary", "count"] as const) : (["_total", "accurate"] as const);
  return namesNoPatient(type) ? [form, ["counted", "all"]] : [form];
}

const listed = (listing: HistoryRequest | EverythingRequest) =>
  listingQuery(listing).split("&").filter(Boolean).map(pairOf);

function pairOf(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  return [text.slice(0, at), decodeURIComponent(text.slice(at + 1))];
}
