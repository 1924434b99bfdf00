import { resolve } from "node:path";
import { isId } from "#fhir/r4/reference";
import { closeConnections } from "../connection/mutual-tls.ts";
import { noteSentChange } from "../interruption.ts";
import { Misuse } from "../misuse.ts";
import { complain, giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";
import { readCall } from "../read-call.ts";
import { idsIn, makeFolder, writeStarted } from "./export-folder.ts";
import { ExportSession, waitSecondsOf } from "./export-session.ts";
import { outcomeIn } from "./outcome-text.ts";

const many = { type: "string", multiple: true, default: [] as string[] } as const;
const options = {
  state: { type: "string", default: ".phylax" },
  purpose: { type: "string" },
  scope: { type: "string" },
  group: { type: "string" },
  system: { type: "boolean", default: false },
  type: many,
  "type-filter": many,
  elements: many,
  since: { type: "string" },
  until: { type: "string" },
  patients: { type: "string" },
  lenient: { type: "boolean", default: false },
} as const;
type Values = ReturnType<typeof readCall<typeof options>>["values"];

/**
 * Starts an export, and writes into a new folder what the later verbs need. The request is a POST, so that no filter
 * stands in a URL. Returns 0, 2 if the export is refused, 1 if the server fails.
 */
export async function exportStart(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, options);
  const [client, folder, ...more] = positionals;
  if (client === undefined || folder === undefined || more.length > 0) throw new Misuse();
  if (values.group !== undefined && !isId(values.group)) throw new Misuse("--group is the id of a Group");
  if (values.system && values.group !== undefined) throw new Misuse("choose --system or --group");
  const body = JSON.stringify({ resourceType: "Parameters", parameter: parametersOf(values) });
  const asked = { client, purpose: values.purpose, scope: values.scope };
  try {
    const session = new ExportSession(resolve(values.state), asked);
    const level = values.system ? "" : values.group === undefined ? "Patient/" : `Group/${values.group}/`;
    makeFolder(folder); // before the request: an export without a folder would be lost
    noteSentChange();
    const reply = await session.send(`${session.fhir}/${level}$export`, {
      method: "POST",
      body,
      headers: {
        accept: "application/fhir+json",
        "content-type": "application/fhir+json",
        prefer: `respond-async${values.lenient ? ", handling=lenient" : ""}`,
      },
    });
    const status = reply.headers["content-location"];
    if (reply.status !== 202 || status === undefined) {
      const seconds = waitSecondsOf(reply);
      const advice = seconds === undefined ? "" : `; ask again in ${seconds} s`;
      complain(printable(`not started: ${reply.status} ${outcomeIn(reply.text)}${advice}`));
      return reply.status >= 400 && reply.status < 500 ? 2 : 1;
    }
    writeStarted(folder, { status, fhir: session.fhir, ...asked });
    giveResult({ folder, status });
    say(printable(`started: ${status}`));
    say(`\`phylax export download ${folder}\` gets its files`);
    return 0;
  } finally {
    closeConnections();
  }
}

/** Each value is a parameter of its own, which 3.0.0 and later versions read. */
function parametersOf(values: Values): readonly object[] {
  const named = (name: string, member: string, list: readonly (string | undefined)[]) =>
    list.flatMap((value) => (value === undefined ? [] : [{ name, [member]: value }]));
  const patients = values.patients === undefined ? [] : idsIn(values.patients);
  return [
    ...named("_type", "valueString", values.type?.flatMap((list) => list.split(",")) ?? []),
    ...named("_typeFilter", "valueString", values["type-filter"] ?? []),
    ...named("_elements", "valueString", values.elements?.flatMap((list) => list.split(",")) ?? []),
    ...named("_since", "valueInstant", [values.since]),
    ...named("_until", "valueInstant", [values.until]),
    ...patients.map((id) => ({ name: "patient", valueReference: { reference: `Patient/${id}` } })),
  ];
}
