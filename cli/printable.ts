/**
 * A line as a terminal may have it: what a record or a file from elsewhere says cannot move the cursor, colour, reverse or end the line.
 * Inside JSON's strings the escapes are JSON's own, so that JSON stays the same value.
 */
export const printable = (line: string): string =>
  line.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (sign) =>
    Array.from(
      { length: sign.length },
      (_, at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
