import { posterOf, posterOptions } from "../connection/operator-post.ts";
import { readJsonFile } from "../json-file.ts";
import { Misuse, UnusableFile } from "../misuse.ts";
import { requirePublic } from "../registry/public-file.ts";
import { denialOf } from "../registry/revoke.ts";
import { giveSubmitted, propose } from "./submit-change.ts";
import { readCall } from "../read-call.ts";

/**
 * Proposes a planned change, the lift of a denial, or a role for a limited time. Returns 0 when the proposal
 * is stored, 2 when it is refused.
 */
export async function proposeCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...posterOptions,
    why: { type: "string" },
    lift: { type: "boolean", default: false },
    role: { type: "string" },
    minutes: { type: "string", default: "60" },
  });
  const { why, lift, role, minutes } = values;
  if (why === undefined) throw new Misuse("--why says the reason, for the approver and for the record");
  return giveSubmitted(
    await propose(posterOf(values), documentOf(positionals, why, lift, role, Number(minutes))),
  );
}

function documentOf(
  named: readonly string[],
  why: string,
  lift: boolean,
  role: string | undefined,
  minutes: number,
): object {
  if (lift) {
    const denial = denialOf(named);
    if (denial === undefined || role !== undefined) throw new Misuse();
    return { kind: "lift", why, denial };
  }
  if (role !== undefined) {
    if (named.length > 0) throw new Misuse();
    return { kind: "elevation", why, role, minutes };
  }
  const [file, ...more] = named;
  if (file === undefined || more.length > 0) throw new Misuse();
  const change = readJsonFile(file);
  if (!change.ok) throw new UnusableFile(`${file}: ${change.error}`);
  requirePublic(file, change.value);
  return { kind: "change", why, change: change.value };
}
