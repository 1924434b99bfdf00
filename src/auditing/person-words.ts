import type { AuditEvent } from "#audit/event";

/**
 * The signed-in person of a client's request; in a declared emergency the name by which the person declared it, with the
 * entity. Undefined: a system asked.
 */
export function personText({ who, emergency }: Pick<AuditEvent, "who" | "emergency">): string | undefined {
  const { personnel, facility } = emergency ?? {};
  const signedIn = who?.user ?? who?.subject;
  const named =
    personnel === undefined || signedIn === undefined
      ? (personnel ?? signedIn)
      : `${personnel} (${signedIn})`;
  return named === undefined ? facility : [named, facility].filter((each) => each !== undefined).join(", ");
}
