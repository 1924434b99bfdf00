/** A node of a syntax tree (ESTree with TypeScript's nodes), as far as a scan of sources reads it. */
export interface Node {
  readonly type: string;
  readonly [member: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value;

export function child(node: Node | undefined, member: string): Node | undefined {
  const value = node?.[member];
  return isNode(value) ? value : undefined;
}

export function children(node: Node | undefined, member: string): readonly Node[] {
  const value = node?.[member];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** A member's node, or nodes. */
export function membersOf(node: Node, member: string): readonly Node[] {
  const one = child(node, member);
  return one === undefined ? children(node, member) : [one];
}

/** The name of an identifier, or the text of a text literal. */
export function nameOf(node: Node | undefined): string | undefined {
  const value = node?.["name"] ?? node?.["value"];
  return typeof value === "string" ? value : undefined;
}

export const isCall = ({ type }: Node): boolean => type === "CallExpression" || type === "NewExpression";

/** An expression without `as const`, `satisfies` and `!`. */
export function bare(node: Node): Node {
  const inner = /^TS(?:As|Satisfies|NonNull)/u.test(node.type) ? child(node, "expression") : undefined;
  return inner === undefined ? node : bare(inner);
}

/** A node and all below it. */
export function nodesBelow(node: Node): readonly Node[] {
  const found: Node[] = [];
  const waiting: Node[] = [node];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    found.push(next);
    for (const name of Object.keys(next)) waiting.push(...membersOf(next, name));
  }
  return found;
}
