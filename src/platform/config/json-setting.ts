/** The value of a setting that is JSON, or its text. Undefined for malformed JSON: the parser's message would show it. */
export function jsonSetting(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
