import type { Finding } from "#ledger/verify";

/** A finding as text, for example `frame/1 (frame 1): frame magic`. Text is passed through. */
export function sentence(wrong: Finding | string): string {
  if (typeof wrong === "string") return wrong;
  const { object, index, problem } = wrong;
  const place = index === undefined ? "" : ` (${object.startsWith("frame/") ? "frame" : "leaf"} ${index})`;
  return `${object}${place}: ${problem.replaceAll("_", " ")}`;
}
