import { Misuse } from "../misuse.ts";
import { mkdir, open } from "node:fs/promises";
import { join, resolve } from "node:path";
import { auditEventsOf } from "#audit/balp/audit-event";
import { auditorOptions, auditorSource } from "../records/auditor-source.ts";
import { eventFilter, filterOptions } from "../records/event-filter.ts";
import { eventsOf, type EventOnRecord } from "#auditing/ledger-events";
import { UnreadList } from "../records/unread.ts";
import { complain, giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

const fileName = "AuditEvent.ndjson";

/**
 * Opens the leaves of each log with an auditor's key and writes the events as AuditEvents after IHE BALP, one
 * per line (FHIR Bulk Data's NDJSON), to a new file in the folder. Leaves that could not be opened are
 * reported on standard error; the exit code is 1 then.
 */
export async function ledgerExportFhir(args: readonly string[]): Promise<number> {
  const options = { ...auditorOptions, ...filterOptions, server: { type: "string" } } as const;
  const { values, positionals } = readCall(args, options);
  const [folder, named, ...more] = positionals;
  if (folder === undefined || more.length > 0)
    throw new Misuse(
      "name the folder to write to, then the ledger's URL or an exported folder to read, and nothing more",
    );
  if (values.server !== undefined && !/^https?:\/\/\S+$/u.test(values.server))
    throw new Misuse("--server takes the URL of the FHIR server that the events name");
  const isSelected = eventFilter(values);
  const source = await auditorSource(values, named);
  const path = join(resolve(folder), fileName);
  await mkdir(resolve(folder), { recursive: true });
  const file = await open(path, "wx", 0o600).catch(() => {
    throw new Misuse(`${path} exists already or cannot be written: choose another folder`);
  });
  const unread = new UnreadList();
  let written = 0;
  try {
    for await (const found of eventsOf(source)) {
      if (!("event" in found)) unread.add(found);
      else if (isSelected(found.event)) {
        const resources = asAuditEvents(found, values.server);
        await file.write(resources.map((resource) => `${JSON.stringify(resource)}\n`).join(""));
        written += resources.length;
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
  giveResult({ file: path, events: written, complete: unread.count === 0 });
  say(`${path}: ${written} AuditEvents`);
  for (const line of unread.lines) complain(line);
  return unread.count === 0 ? 0 : 1;
}

function asAuditEvents(
  { log, leaves, frame, event }: EventOnRecord,
  server: string | undefined,
): readonly object[] {
  const { index = 0, hash = new Uint8Array() } = leaves[0] ?? {};
  const receipt = { log: log.name, index, leafHash: hash, frameHash: frame.hash };
  return auditEventsOf(event, { ledger: log.origin.slice(0, log.origin.lastIndexOf("/")), receipt, server });
}
