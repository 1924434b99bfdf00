/** A problem in a registry file and its place (RFC 6901). Never quotes a value. */
export interface RegistryProblem {
  /**
   * `stale`: the registry is no longer in the state that a change expects. `approval_required`: the document opens
   * access, and one person may only narrow it.
   */
  readonly reason: "invalid" | "not_supported" | "conflict" | "stale" | "approval_required";
  readonly pointer: string;
  readonly problem: string;
}

/** A problem with the reason `approval_required` begins so; the console and the command then offer a proposal. */
export const needsApproval = "needs a second person's approval";

/** The place of a path (RFC 6901). */
export function pointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

export function clash(path: readonly PropertyKey[], problem: string): RegistryProblem {
  return { reason: "conflict", pointer: pointer(path), problem };
}

export function invalid(path: readonly PropertyKey[], problem: string): RegistryProblem {
  return { reason: "invalid", pointer: pointer(path), problem };
}

/** The first problem of a list's entries. */
export function firstProblem<T>(
  entries: readonly T[],
  problemOf: (entry: T, i: number) => RegistryProblem | undefined,
): RegistryProblem | undefined {
  for (const [i, entry] of entries.entries()) {
    const problem = problemOf(entry, i);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
