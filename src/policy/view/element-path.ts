/** A step of a view path: an element, or only the items of it that a slice selects. */
export interface PathStep {
  /** As R4 names it: `birthDate`, `value[x]` for every form of a choice, `valueQuantity` for one form. */
  readonly name: string;
  readonly slice: Slice | undefined;
}

/**
 * Selects items by their `system` (identifier, telecom, coding) or by their `code` (Observation.component).
 */
export interface Slice {
  readonly by: "system" | "code";
  /**
   * Systems, or codes as `system|code` (a bare `code` where the element is a plain code). An item matches by
   * any of them.
   */
  readonly values: readonly string[];
}

/**
 * Grammar: `step ("." step)*`, `step = name "[x]"? ("[" ("system" | "code") "=" value ("," value)* "]")?`. A
 * value has no comma, bracket or space, so URLs need no quotes.
 */
export const pathGrammar =
  /^[a-z][A-Za-z0-9]*(?:\[x\])?(?:\[(?:system|code)=[^\s,[\]]+(?:,[^\s,[\]]+)*\])?(?:\.[a-z][A-Za-z0-9]*(?:\[x\])?(?:\[(?:system|code)=[^\s,[\]]+(?:,[^\s,[\]]+)*\])?)*$/u;

const stepGrammar =
  /(?<name>[a-z][A-Za-z0-9]*(?:\[x\])?)(?:\[(?<by>system|code)=(?<values>[^\]]*)\])?(?:\.|$)/guy;

/** The steps of a path that the grammar admits. */
export function readPath(path: string): readonly PathStep[] {
  return [...path.matchAll(stepGrammar)].map(({ groups }) => {
    const { name = "", by, values = "" }: Readonly<Record<string, string | undefined>> = groups ?? {};
    return { name, slice: by === "system" || by === "code" ? { by, values: values.split(",") } : undefined };
  });
}
