/** Splits at a separator that no backslash escapes (R4 §3.1.1.4.1); the parts keep their escapes. */
export function splitEscaped(text: string, separator: "," | "|" | "$"): string[] {
  const parts = [""];
  for (const [piece] of text.matchAll(/\\.|[^\\]|\\$/gsu)) {
    if (piece === separator) parts.push("");
    else parts[parts.length - 1] += piece;
  }
  return parts;
}

export const unescaped = (text: string): string => text.replaceAll(/\\(?<char>[\\,|$])/gu, "$<char>");
