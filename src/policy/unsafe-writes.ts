import { compileRule } from "./compile.ts";
import type { PolicyRule, RuleInteraction } from "./schema.ts";
import { tiesOf } from "#policy/view/ties";
import { compileView } from "#policy/view/view";

/** A write that a rule must not grant (P3, P9), and the reason. */
interface UnsafeWrite {
  readonly interaction: RuleInteraction;
  readonly problem: string;
}

/**
 * The writes of a rule that would destroy or reveal elements that its view hides. Publishing refuses them; if
 * an earlier version published the policy, they are not granted.
 */
export function unsafeWrites(rule: PolicyRule): readonly UnsafeWrite[] {
  const { types, interactions, show, deletes } = rule;
  const unsafe: UnsafeWrite[] = [];
  if (!interactions.includes("read")) {
    const problem = "needs `read` as well: a client must not lose elements that it cannot see";
    for (const interaction of ["update", "delete"] as const)
      if (interactions.includes(interaction)) unsafe.push({ interaction, problem });
    return unsafe;
  }
  if (interactions.includes("update")) {
    const { shown, extensions } = compileRule(rule);
    for (const type of types) {
      const [tie] = tiesOf(compileView(type, shown, extensions));
      if (tie === undefined) continue;
      const by = tie.key === "bounds" ? "which bounds it" : `by ${tie.key}`;
      const problem = `would reveal ${type}.${tie.hidden}, which is hidden: a server checks it against ${tie.shown}, ${by}; show both or neither`;
      unsafe.push({ interaction: "update", problem });
    }
  }
  if (interactions.includes("delete") && show !== "everything" && deletes !== "unseen") {
    const problem = "would destroy elements that the view hides: show everything, or add `deletes: unseen`";
    unsafe.push({ interaction: "delete", problem });
  }
  return unsafe;
}
