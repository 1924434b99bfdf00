import { resolve } from "node:path";
import * as z from "zod";
import { csvRow } from "#audit/accounting/csv";
import type { AuditEvent } from "#audit/event";
import { eventsOf } from "#auditing/ledger-events";
import { accessToken } from "../connection/access-token.ts";
import { openDeployment } from "../connection/deployment.ts";
import { readAsClient } from "../connection/get.ts";
import { closeConnections } from "../connection/mutual-tls.ts";
import { Misuse } from "../misuse.ts";
import { complain, giveResult, printsJson, say, sayRows } from "../output.ts";
import { printable } from "../printable.ts";
import { countRead } from "../progress.ts";
import { auditorOptions, auditorSource } from "../records/auditor-source.ts";
import { eventFilter, timeOf } from "../records/event-filter.ts";
import { patientGiven } from "../records/patient-names.ts";
import { UnreadList } from "../records/unread.ts";
import { readCall } from "../read-call.ts";

/** A disclosure about a patient: the recipient, the reason, and the resources that left. */
interface Disclosure {
  readonly at: string;
  readonly recipient: string;
  readonly name?: string;
  readonly user?: string;
  readonly purposes: readonly string[];
  readonly disclosed: string;
  /** The request, as the auditor's key opens it. */
  readonly request?: string;
  /** The line of the accounting: log, leaf and line. */
  readonly line?: string;
}

const pagesMax = 1_000;

/**
 * Lists the recipients who got data about a patient, when, why and which: from the records, with an auditor's key, or
 * from the accounting of disclosures, as a client that may read it. Returns 0; 1 when a part could not be read; 2 for
 * a wrong call.
 */
export async function disclosures(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...auditorOptions,
    state: { type: "string", default: ".phylax" },
    as: { type: "string" },
    from: { type: "string" },
    to: { type: "string" },
    client: { type: "string" },
    purpose: { type: "string" },
    csv: { type: "boolean", default: false },
  });
  const [named, place, ...more] = positionals;
  if (named === undefined || more.length > 0) throw new Misuse();
  const patient = patientGiven(named);
  if (printsJson() && values.csv) throw new Misuse("choose --json or --csv");
  if ((values.as === undefined) === (values.key.length === 0))
    throw new Misuse(
      "--key AUDITOR.JWK.JSON opens the records; --as CLIENT reads the accounting as a client that may (sandbox: --as privacy-officer)",
    );
  if (values.as !== undefined && place !== undefined)
    throw new Misuse("--as CLIENT reads from the gateway: name no ledger");
  try {
    const { client, purpose } = values;
    const filter = { from: values.from, to: values.to, client, purpose };
    const { found, problems } =
      values.as === undefined
        ? await fromRecords(patient, filter, await auditorSource(values, place))
        : await fromAccounting(patient, filter, { state: values.state, client: values.as });
    const rows = found.toSorted((left, right) => (left.at < right.at ? -1 : 1));
    giveResult({ patient, complete: problems.length === 0, disclosures: rows });
    print(rows, values.csv);
    for (const problem of problems) complain(printable(problem));
    return problems.length === 0 ? 0 : 1;
  } finally {
    closeConnections();
  }
}

interface Found {
  readonly found: readonly Disclosure[];
  /** Why the list may be incomplete. */
  readonly problems: readonly string[];
}

interface Filter {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly client: string | undefined;
  readonly purpose: string | undefined;
}

/** A long answer leaves in windows, each with a record: a request is one disclosure. */
async function fromRecords(
  patient: string,
  filter: Filter,
  source: Awaited<ReturnType<typeof auditorSource>>,
): Promise<Found> {
  const isSelected = eventFilter({ ...filter, patient });
  const unread = new UnreadList();
  const byRequest = new Map<string, SeenRequest>();
  for await (const each of eventsOf(source)) {
    if (!("event" in each)) {
      unread.add(each);
      continue;
    }
    const { event, leaves, parts, log } = each;
    if (event.kind !== "disclosure" || !isSelected(event)) continue;
    if (leaves.length < parts) unread.addParts(log.name, parts - leaves.length);
    const own = event.patients.filter((concerned) => concerned.patient === patient);
    if (own.length === 0) continue;
    const known = byRequest.get(event.id) ?? { first: event, counts: new Map<string, number>() };
    for (const { counts } of own)
      for (const [type, count] of Object.entries(counts))
        known.counts.set(type, (known.counts.get(type) ?? 0) + count);
    byRequest.set(event.id, known);
  }
  const found = [...byRequest.values()].map(ofRequest);
  return { found, problems: unread.lines };
}

interface SeenRequest {
  readonly first: AuditEvent;
  /** Resources of the patient by type, of all its windows. */
  readonly counts: Map<string, number>;
}

function ofRequest({ first: { at, id, who, why }, counts }: SeenRequest): Disclosure {
  const user = who?.user ?? who?.subject;
  return {
    at: new Date(at).toISOString(),
    recipient: who?.client ?? who?.operator ?? "unknown caller",
    ...(user !== undefined && { user }),
    purposes: why?.purposes ?? [],
    disclosed: [...counts].map(([type, count]) => `${type} ${count}`).join(", "),
    request: id,
  };
}

const detail = z.object({ type: z.string(), valueString: z.string().optional() });
const auditEvent = z.object({
  resourceType: z.literal("AuditEvent"),
  recorded: z.string(),
  purposeOfEvent: z.array(z.object({ coding: z.array(z.object({ code: z.string() })) })).default([]),
  agent: z.array(
    z.object({
      requestor: z.boolean(),
      who: z.object({
        display: z.string().optional(),
        identifier: z.object({ value: z.string() }).optional(),
      }),
    }),
  ),
  entity: z.array(z.object({ detail: z.array(detail).default([]) })),
});
const bundle = z.object({
  link: z.array(z.object({ relation: z.string(), url: z.string() })).default([]),
  entry: z.array(z.object({ resource: z.looseObject({ resourceType: z.string() }) })).default([]),
});

/** Reads each page of the accounting: every disclosure (`all=true`), also these that the law excludes. */
async function fromAccounting(
  patient: string,
  filter: Filter,
  reader: { readonly state: string; readonly client: string },
): Promise<Found> {
  const place = openDeployment(resolve(reader.state));
  const { deployment: dev } = place;
  const client = place.client(reader.client);
  const [origin, ...rest] = patient.split("/");
  if (!dev.fhir.endsWith(`/${origin}`))
    throw new Misuse(`the gateway's base is ${dev.fhir}: it has no origin ${origin}`);
  const token = await accessToken(dev, client, { purpose: undefined, scope: undefined });
  const found: Disclosure[] = [];
  let url: string | undefined = `${dev.fhir}/${rest.join("/")}/$disclosures?all=true`;
  for (let page = 0; url !== undefined && page < pagesMax; page++) {
    const reply = await readAsClient(dev, client, token, url, { accept: "application/fhir+json" });
    if (reply.status !== 200)
      throw new Error(
        `the gateway answers ${reply.status}: ${reasonIn(reply.text)} (${reader.client} needs a policy with the operation disclosures)`,
      );
    const { entry, link } = bundle.parse(JSON.parse(reply.text));
    for (const { resource } of entry) {
      countRead();
      if (resource.resourceType === "AuditEvent") found.push(lineOf(auditEvent.parse(resource)));
    }
    url = link.find(({ relation }) => relation === "next")?.url;
  }
  const problems = url === undefined ? [] : [`the accounting has more than ${pagesMax} pages`];
  return { found: found.filter(isWithin(filter)), problems };
}

function lineOf({ recorded, purposeOfEvent, agent, entity }: z.infer<typeof auditEvent>): Disclosure {
  const who = agent.find(({ requestor }) => requestor)?.who;
  const details = entity.flatMap((each) => each.detail);
  const textOf = (type: string) => details.find((each) => each.type === type)?.valueString;
  const [recipient, line] = [who?.identifier?.value ?? "unknown recipient", textOf("ledger-line")];
  return {
    at: recorded,
    recipient,
    ...(who?.display !== undefined && who.display !== recipient && { name: who.display }),
    purposes: purposeOfEvent.flatMap(({ coding }) => coding.map(({ code }) => code)),
    disclosed: textOf("disclosed") ?? "",
    ...(line !== undefined && { line }),
  };
}

const isWithin = ({ from, to, client, purpose }: Filter) => {
  const first = from === undefined ? 0 : timeOf(from, "from");
  const last = to === undefined ? Infinity : timeOf(to, "to");
  return ({ at, recipient, purposes }: Disclosure): boolean =>
    Date.parse(at) >= first &&
    Date.parse(at) <= last &&
    (client === undefined || recipient === client) &&
    (purpose === undefined || purposes.includes(purpose));
};

const outcome = z.object({ issue: z.array(z.object({ details: z.object({ text: z.string() }) })) });

function reasonIn(text: string): string {
  try {
    return outcome.parse(JSON.parse(text)).issue.at(0)?.details.text ?? "no reason";
  } catch {
    return "no reason";
  }
}

const columns = ["time", "recipient", "name", "user", "purposes", "disclosed", "record"] as const;

function print(rows: readonly Disclosure[], csv: boolean): void {
  const cells = rows.map(({ at, recipient, name, user, purposes, disclosed, request, line }) => [
    at,
    recipient,
    name ?? "",
    user ?? "",
    purposes.join(" "),
    disclosed,
    request ?? line ?? "",
  ]);
  if (csv) for (const row of [columns, ...cells]) say(printable(csvRow(row)));
  else {
    sayRows(
      columns,
      cells.map((row) => ({ cells: row, line: row.filter((cell) => cell !== "").join("  ") })),
    );
    say(`${rows.length} disclosures`);
  }
}
