// The linter's rules that oxlint itself does not have. `oxlint.config.ts` turns them on.

/** A node of the linter's syntax tree, as far as a rule reads it. */
interface Node {
  readonly type: string;
  readonly parent?: Node;
  readonly name?: string;
  readonly argument?: Node;
  readonly arguments?: readonly Node[];
  readonly elements?: readonly (Node | null)[];
  readonly expression?: Node;
  readonly consequent?: Node;
  readonly alternate?: Node;
  readonly callee?: Node;
  readonly property?: Node;
  readonly object?: Node;
  readonly params?: readonly Node[];
  readonly init?: Node | null;
  readonly kind?: string;
  readonly left?: Node;
  readonly right?: Node;
  readonly operator?: string;
  readonly test?: Node | null;
  readonly value?: unknown;
}

interface Definition {
  readonly type: string;
  readonly node: Node;
  readonly parent?: Node;
  readonly name: Node;
}

interface Scope {
  readonly upper: Scope | null;
  readonly set: ReadonlyMap<string, { readonly defs: readonly Definition[] }>;
}

interface Context {
  readonly sourceCode: { getScope(node: Node): Scope };
  report(finding: { readonly node: Node; readonly message: string }): void;
}

const message =
  "An array of any length must not become arguments: a long one ends the request (RangeError). Use a loop, reduce, " +
  "concat, or an array as argument.";

/** `as const`, `satisfies` and brackets change nothing. */
const bare = (node: Node): Node =>
  node.expression !== undefined && /^TS|^Parenthesized/u.test(node.type) ? bare(node.expression) : node;

/** The definitions of a name where it is used. */
function definitionsOf(name: string, scope: Scope | null): readonly Definition[] {
  for (let here = scope; here !== null; here = here.upper) {
    const found = here.set.get(name);
    if (found !== undefined) return found.defs;
  }
  return [];
}

/**
 * Answers whether the code alone says how many elements an expression has: a list that is written out, also by way of
 * a constant or `map`, or the rest parameter of a function, whose calls are held to the same rule.
 */
function isOfKnownLength(expression: Node, scope: Scope): boolean {
  const node = bare(expression);
  if (node.type === "ConditionalExpression")
    return [node.consequent, node.alternate].every(
      (each) => each !== undefined && isOfKnownLength(each, scope),
    );
  if (node.type === "ArrayExpression")
    return (node.elements ?? []).every(
      (element) =>
        element?.type !== "SpreadElement" ||
        (element.argument !== undefined && isOfKnownLength(element.argument, scope)),
    );
  if (node.type === "CallExpression" && node.callee?.property?.name === "map")
    return node.callee.object !== undefined && isOfKnownLength(node.callee.object, scope);
  if (node.type !== "Identifier") return false;
  return definitionsOf(node.name ?? "", scope).some(({ type, node: where, parent, name }) => {
    if (type === "Parameter")
      return where.params?.some((each) => each.type === "RestElement" && each.argument === name) === true;
    const { init } = where;
    return parent?.kind === "const" && init !== undefined && init !== null && isOfKnownLength(init, scope);
  });
}

const noSpreadArguments = {
  create(context: Context) {
    const check = (node: Node) => {
      for (const argument of node.arguments ?? [])
        if (
          argument.type === "SpreadElement" &&
          argument.argument !== undefined &&
          !isOfKnownLength(argument.argument, context.sourceCode.getScope(node))
        )
          context.report({ node: argument, message });
    };
    return { CallExpression: check, NewExpression: check };
  },
};

/** A name in the form of a FHIR resource type. */
const isTypeName = (node: Node | null | undefined): boolean =>
  node?.type === "Literal" && /^(?:[A-Z][a-z]+)+$/u.test(String(node.value));

const typeMessage =
  "The gateway compares no resource type with a literal: what a type has of its own is a row of a table.";

const noTypeComparison = {
  create(context: Context) {
    const report = (node: Node) => context.report({ node, message: typeMessage });
    return {
      BinaryExpression(node: Node) {
        if (/^[!=]==?$/u.test(node.operator ?? "") && [node.left, node.right].some(isTypeName)) report(node);
      },
      SwitchCase(node: Node) {
        if (isTypeName(node.test)) report(node);
      },
    };
  },
};

export default {
  meta: { name: "phylax" },
  rules: { "no-spread-arguments": noSpreadArguments, "no-type-comparison": noTypeComparison },
};
