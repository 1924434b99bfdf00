// A registry file is ten deep, and the resource of a policy's example some more. What is deeper fails between the workers, or overflows a schema's stack.
const depthMax = 100;

/** Whether a text that is JSON holds arrays and objects more than a hundred levels deep. */
export function isTooDeep(json: string): boolean {
  let depth = 0;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gu)) {
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
    if (depth > depthMax) return true;
  }
  return false;
}
