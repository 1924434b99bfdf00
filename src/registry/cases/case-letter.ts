import type { DenialGround } from "#registry/case-document";
import { dueDays } from "./case-days.ts";

/** The basis of a denial in plain words, by its ground (45 CFR 164.526(a)(2)). */
const basisOf: Readonly<Record<DenialGround, string>> = {
  "not-created-here":
    "We did not create this part of your record, and the person or organization that created it is available to amend it.",
  "not-in-record-set":
    "This information is not part of the records about you that we use to decide about you.",
  "not-open-to-access": "This information is not open to your inspection under 45 CFR 164.524.",
  "accurate-and-complete": "This part of your record is accurate and complete.",
};

/** A part that a letter must have: the clause in its marker, what it says, and what its text must contain. */
interface LetterPart {
  readonly clause: string;
  readonly says: string;
  readonly needs?: RegExp;
}

export const letterParts = {
  denial: [
    { clause: "164.526(d)(1)(i)", says: "the basis of the denial", needs: /\{basis\}/u },
    { clause: "164.526(d)(1)(ii)", says: "the right to a statement of disagreement, and how to send it" },
    {
      clause: "164.526(d)(1)(iii)",
      says: "the right to have request and denial sent with future disclosures",
    },
    {
      clause: "164.526(d)(1)(iv)",
      says: "how to complain to the entity and to the Secretary, with a name or title and a telephone number",
      needs: /\d(?:[ ().-]?\d){6}/u,
    },
  ],
  extension: [
    {
      clause: "164.526(b)(2)(ii)(A)",
      says: "the reason of the delay and the date",
      needs: /\{reason\}[^]*\{due\}|\{due\}[^]*\{reason\}/u,
    },
  ],
} as const satisfies Readonly<Record<string, readonly LetterPart[]>>;

/** The facts that a template may name in braces. */
export type LetterFacts = Readonly<Record<string, string>>;

/** The facts of each letter: `receivedAt` and `now` are ms since 1970, `words` are the reason or the explanation. */
export function letterFacts(
  kind: keyof typeof letterParts,
  { id, receivedAt, now }: { readonly id: string; readonly receivedAt: number; readonly now: number },
  words: string,
  grounds: readonly DenialGround[],
): LetterFacts {
  const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10);
  const common = { case: id, received: dayOf(receivedAt), today: dayOf(now) };
  return kind === "denial"
    ? { ...common, basis: basisText(grounds, words) }
    : { ...common, reason: words, due: dueDays(receivedAt, true).act };
}

export const basisText = (grounds: readonly DenialGround[], explanation: string): string =>
  [...grounds.map((ground) => basisOf[ground]), explanation].filter((text) => text !== "").join("\n\n");

/**
 * Fills a template of the entity. Each part of the letter begins with a line `<!-- CLAUSE -->`, which the letter
 * does not have. Throws with the first part that is absent, double or empty, and for a place that is not filled.
 */
export function letterFrom(template: string, parts: readonly LetterPart[], facts: LetterFacts): string {
  for (const { clause, says, needs } of parts) {
    const [, text, ...more] = template.split(`<!-- ${clause} -->`);
    const own = text?.split("<!--")[0]?.trim() ?? "";
    if (text === undefined || more.length > 0 || own === "" || needs?.test(own) === false)
      throw new Error(`the template needs the part ${clause} once: ${says}`);
  }
  const words = template.replaceAll(/^<!--[^]*?-->\r?\n?/gmu, "");
  const open = /\[[^\]]*\]/u.exec(words)?.[0];
  if (open !== undefined) throw new Error(`the template has a place that is not filled: ${open}`);
  return words.replaceAll(/\{([a-z]+)\}/gu, (_place, name: string) => {
    const fact = Object.hasOwn(facts, name) ? facts[name] : undefined;
    if (fact === undefined) throw new Error(`the template names an unknown fact: {${name}}`);
    return fact;
  });
}
