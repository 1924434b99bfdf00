/**
 * True if an object in this JSON text names a member twice (RFC 7515 §4, RFC 7519 §4: refused). Some
 * parsers keep the last member and some the first, so a single signature would have two meanings. The text
 * must be well-formed JSON: call this after parsing.
 */
export function repeatsMember(json: string): boolean {
  const open: (Set<string> | undefined)[] = []; // the names in each open object; undefined for an array
  let nameNext = false;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/gu)) {
    if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : undefined);
      nameNext = token === "{";
    } else if (token === "}" || token === "]") {
      open.pop();
      nameNext = false;
    } else if (token === ",") {
      nameNext = open.at(-1) !== undefined;
    } else if (nameNext) {
      const name = String(JSON.parse(token)); // "\u0061" and "a" are the same name
      if (open.at(-1)?.has(name) === true) return true;
      open.at(-1)?.add(name);
      nameNext = false;
    }
  }
  return false;
}
