import { Misuse } from "../misuse.ts";
import { writeFileSync } from "node:fs";
import { planLines, type PolicyBodies } from "#authoring/plan-lines";
import type { PlannedChange } from "#registry/plan";
import {
  postAsOperator,
  posterOf,
  posterOptions,
  refusalLine,
  type OperatorAnswer,
} from "../connection/operator-post.ts";
import { readJsonFile } from "../json-file.ts";
import { printable } from "../printable.ts";
import { requirePublic } from "./public-file.ts";
import { complain, giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

const removable = {
  issuer: "issuers",
  client: "clients",
  agreement: "agreements",
  origin: "origins",
  grant: "grants",
} as const;

/**
 * Shows what the registry would gain, change and lose if each entry of FILE took its content there, and
 * writes the change for `registry apply`. A grant is named as `grant:CLIENT/ORIGIN/PURPOSE`. Returns 0 when
 * the change is possible, 2 when it is refused.
 */
export async function registryPlan(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...posterOptions,
    remove: { type: "string", multiple: true, default: [] },
    reinstate: { type: "string", multiple: true, default: [] },
    out: { type: "string" },
  });
  const [file, ...more] = positionals;
  const remove = readRemovals(values.remove);
  if (more.length > 0 || remove === undefined || (file === undefined && values.remove.length === 0)) {
    const kinds = Object.keys(removable).join(", ");
    throw new Misuse(`KIND is one of ${kinds}; a grant is CLIENT/ORIGIN/PURPOSE`);
  }
  const set = file === undefined ? undefined : readJsonFile(file);
  if (set?.ok === false) {
    complain(`${String(file)}: ${set.error}`);
    return 2;
  }
  if (set !== undefined && file !== undefined) requirePublic(file, set.value);
  const change = { ...(set && { set: set.value }), remove, reinstate: values.reinstate };
  const answer = await postAsOperator(posterOf(values), "api/registry/plan", JSON.stringify(change));
  if (answer.status !== 200) {
    complain(`${file ?? "the change"}: ${refusalLine(inFile(answer))}`);
    return answer.status < 500 ? 2 : 1;
  }
  const { digest } = answer.body;
  const changes = answer.body["changes"] as readonly PlannedChange[]; // our API's own form
  if (values.out !== undefined)
    writeFileSync(values.out, `${JSON.stringify({ expects: digest, ...change }, null, 2)}\n`);
  giveResult({ digest, changes });
  for (const line of planLines(changes, answer.body["policies"] as PolicyBodies)) say(printable(line));
  say(summary(changes));
  if (values.out !== undefined && changes.length > 0) say(`apply it: phylax registry apply ${values.out}`);
  return 0;
}

/** A refusal with the place in the file: the request has the file's content as its member `set`. */
function inFile(answer: OperatorAnswer): OperatorAnswer {
  const { pointer } = answer.body;
  if (typeof pointer !== "string" || !/^\/set(?:\/|$)/u.test(pointer)) return answer;
  return { ...answer, body: { ...answer.body, pointer: pointer.slice("/set".length) } };
}

function summary(changes: readonly PlannedChange[]): string {
  if (changes.length === 0) return "nothing changes";
  const added = changes.filter(({ before }) => before === undefined).length;
  const removed = changes.filter(({ after }) => after === undefined).length;
  return `${added} to add, ${changes.length - added - removed} to change, ${removed} to remove`;
}

function readRemovals(named: readonly string[]): Record<string, unknown[]> | undefined {
  const removals: Record<string, unknown[]> = {};
  for (const each of named) {
    const [kind, name] = [each.slice(0, each.indexOf(":")), each.slice(each.indexOf(":") + 1)];
    if (!Object.hasOwn(removable, kind) || name === "") return undefined;
    const list = removable[kind as keyof typeof removable]; // asked above
    const [client, origin, purpose, ...rest] = name.split("/");
    if (kind === "grant" && (purpose === undefined || rest.length > 0)) return undefined;
    (removals[list] ??= []).push(kind === "grant" ? { client, origin, purpose } : name);
  }
  return removals;
}
