import * as z from "zod";

const outcome = z.object({
  issue: z.array(
    z.object({
      severity: z.string().optional(),
      diagnostics: z.string().optional(),
      details: z.object({ text: z.string().optional() }).optional(),
    }),
  ),
});

interface Issue {
  readonly words: string;
  readonly isError: boolean;
}

/** The issues of an OperationOutcome. */
export function issuesIn(text: string): readonly Issue[] {
  const read = outcome.safeParse(parsed(text));
  if (!read.success) return [];
  return read.data.issue.map(({ severity = "", diagnostics, details }) => ({
    words: details?.text ?? diagnostics ?? "an issue without words",
    isError: severity === "error" || severity === "fatal",
  }));
}

/** The words of an OperationOutcome in one line, or the beginning of any other text. */
export function outcomeIn(text: string): string {
  const issues = issuesIn(text);
  return issues.length === 0 ? text.slice(0, 200) : issues.map(({ words }) => words).join("; ");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
