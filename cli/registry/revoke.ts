import { Misuse } from "../misuse.ts";
import { denialMembers } from "#identity/denial";
import type { Denial } from "#identity/denial-document";
import { postAsOperator, posterOf, posterOptions, refusedBy } from "../connection/operator-post.ts";
import { giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

type Kind = Denial["kind"];

/** The words that name a thing of each kind, in the order of the command line. */
export const denialNames = {
  ...denialMembers,
  token: [...denialMembers.token, "until"],
} as const satisfies Readonly<Record<Kind, readonly string[]>>;

const kinds = Object.keys(denialNames) as readonly Kind[]; // the table has exactly the kinds

/**
 * Denies a token, key, client and so on everywhere within ten seconds, or lifts the denial
 * (docs/revocation.md). Returns 0 when it is done, 2 when it is refused.
 */
export async function revokeCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...posterOptions,
    lift: { type: "boolean", default: false },
  });
  const denial = denialOf(positionals);
  if (denial === undefined) throw new Misuse();
  const path = values.lift ? "api/revocations/lift" : "api/revocations";
  const answer = await postAsOperator(posterOf(values), path, JSON.stringify(denial));
  if (answer.status !== 200) throw refusedBy(answer);
  giveResult({ ...denial, denied: !values.lift, ...(values.lift && { lifted: answer.body["lifted"] }) });
  say(
    values.lift
      ? answer.body["lifted"] === true
        ? "lifted: accepted again everywhere within 10 s"
        : "was not denied"
      : "denied: refused everywhere within 10 s",
  );
  return 0;
}

/**
 * Builds the denial document; the operators' API validates it. `until` is RFC 3339 here and milliseconds in
 * the API.
 */
export function denialOf([word, ...given]: readonly string[]):
  | Readonly<Record<string, string | number>>
  | undefined {
  const kind = kinds.find((each) => each === word);
  if (kind === undefined || given.length !== denialNames[kind].length) return undefined;
  const named = denialNames[kind].map((name, index): [string, string | number] => {
    const text = given[index] ?? "";
    return [name, name === "until" ? Date.parse(text) : text];
  });
  return named.some(([, value]) => Number.isNaN(value)) ? undefined : { kind, ...Object.fromEntries(named) };
}
