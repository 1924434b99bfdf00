// A registry file is ten levels deep, and the example resource of a policy some more. A deeper document
// fails between the workers, or overflows a schema's stack.
const depthMax = 100;

/** True if a JSON text has arrays and objects more than a hundred levels deep. */
export function isTooDeep(json: string): boolean {
  let depth = 0;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gu)) {
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
    if (depth > depthMax) return true;
  }
  return false;
}
