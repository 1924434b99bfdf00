import { compilePolicy, type CompiledPolicy, type CompiledRule } from "#policy/compile";
import { narrowedToForm } from "#policy/form/narrowed-view";
import { showsInEachRule } from "#policy/relations";
import type { Access } from "#policy/row-access";
import type { PolicyDocument } from "#policy/schema";

/** The basis of an explanation. */
export interface Explained {
  readonly document: PolicyDocument;
  /** The document in compiled form. */
  readonly policy: CompiledPolicy;
  readonly access: Access;
  /** The source of the user's patients, in words. */
  readonly users?: string;
}

/** The basis by which the gateway decides: no rule of its policy shows what a form removes. */
export function asDecided(about: Explained): Explained {
  if (about.document.form === undefined) return about;
  const policy = compilePolicy(narrowedToForm(about.document), "");
  return { ...about, policy, access: { ...about.access, shows: showsInEachRule(policy) } };
}

/** A step of a decision. */
export interface ExplainStep {
  /** Answers whether the request passes this step. */
  readonly ok: boolean;
  readonly of:
    | "request"
    | "policy"
    | "scope"
    | "compartment"
    | "operation"
    | "parameter"
    | "sort"
    | "include"
    | "join"
    | "consent"
    | "form";
  readonly says: string;
  readonly details?: readonly string[];
}

export interface NamedRule {
  readonly rule: CompiledRule;
  /** Its place in the document (RFC 6901). */
  readonly name: string;
  readonly why: string;
}

/** The rules for a type, each with its place. */
export function rulesNamed({ document, policy }: Explained, type: string): readonly NamedRule[] {
  const places = document.rules.flatMap(({ types, why }, index) =>
    types.some((one) => one === type) ? [{ name: `/rules/${index}`, why }] : [],
  );
  return policy.rulesFor(type).flatMap((rule, index) => {
    const place = places[index]; // both are in the document's order
    return place === undefined ? [] : [{ rule, ...place }];
  });
}
