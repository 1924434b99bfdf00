/**
 * Makes a line safe for a terminal: text from a record or a foreign file cannot move the cursor, colour,
 * reverse or end the line. Inside JSON strings the escapes are JSON escapes, so the JSON keeps its value.
 */
export const printable = (line: string): string =>
  line.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (sign) =>
    Array.from(
      { length: sign.length },
      (_, at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
