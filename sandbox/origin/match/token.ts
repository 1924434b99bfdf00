import { field, items, text, type Value } from "../values.ts";
import { splitEscaped, unescaped } from "./escape.ts";

interface Token {
  /**
   * Undefined: the value has no system. `any`: the system comes from the binding of a `code`, and a client
   * may name it or not.
   */
  readonly system: string | undefined | { readonly any: true };
  readonly code: string;
}

function tokens({ type, value }: Value): Token[] {
  switch (type) {
    case "CodeableConcept":
      return items(field(value, "coding")).flatMap((coding) => tokens({ type: "Coding", value: coding }));
    case "Coding":
      return [{ system: text(value, "system"), code: text(value, "code") ?? "" }];
    case "Identifier":
    case "ContactPoint":
      return [{ system: text(value, "system"), code: text(value, "value") ?? "" }];
    default:
      return [{ system: { any: true }, code: String(value) }];
  }
}

/** `code`, `system|code`, `|code`, `system|` (R4 §3.1.1.4.10). Codes match in any case, systems exactly. */
export function matchesToken(found: Value, searched: string): boolean {
  const parts = splitEscaped(searched, "|").map(unescaped);
  const code = (parts[1] ?? parts[0] ?? "").toLowerCase();
  const system = parts.length === 1 ? undefined : parts[0];
  return tokens(found).some(
    (token) =>
      (code === "" || token.code.toLowerCase() === code) &&
      (system === undefined || typeof token.system === "object" || (token.system ?? "") === system) &&
      !(code === "" && (system === undefined || system === "")),
  );
}

/** `:text`: the beginning of a display or of the concept's text, in any case (R4 §3.1.1.4.10). */
export function matchesTokenText({ type, value }: Value, searched: string): boolean {
  const written =
    type === "CodeableConcept"
      ? [text(value, "text"), ...items(field(value, "coding")).map((coding) => text(coding, "display"))]
      : [text(value, "display"), text(field(value, "type"), "text")];
  return written.some((words) => words?.toLowerCase().startsWith(unescaped(searched).toLowerCase()) === true);
}

/** `:of-type`: `system|code|value`, the type of an Identifier and its value (R4 §3.1.1.4.10). */
export function matchesTypedIdentifier({ type, value }: Value, searched: string): boolean {
  const [system = "", code = "", wanted = ""] = splitEscaped(searched, "|").map(unescaped);
  if (type !== "Identifier" || wanted === "" || text(value, "value") !== wanted) return false;
  return items(field(field(value, "type"), "coding")).some(
    (coding) => text(coding, "system") === system && text(coding, "code") === code,
  );
}
