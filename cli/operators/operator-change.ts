import { giveSubmitted, printRefusal, propose } from "../approvals/submit-change.ts";
import { thumbprintOf } from "../clients/thumbprint.ts";
import { postAsOperator, posterOf, posterOptions } from "../connection/operator-post.ts";
import { Misuse, UnusableName } from "../misuse.ts";
import { giveResult, say } from "../output.ts";
import { readOperators, type RegisteredOperator } from "./operator-list.ts";
import { readNamedCall } from "../read-call.ts";

const options = {
  ...posterOptions,
  why: { type: "string" },
  cert: { type: "string" },
  role: { type: "string", multiple: true },
  machine: { type: "boolean", default: false },
  issuer: { type: "string" },
  subject: { type: "string" },
  acr: { type: "string", multiple: true },
  amr: { type: "string", multiple: true },
  "max-age": { type: "string" },
  reinstate: { type: "boolean", default: false },
} as const;

const read = (args: readonly string[]) => readNamedCall(args, options);
type Values = ReturnType<typeof read>["values"];
type Entry = Omit<RegisteredOperator, "elevated">;

/**
 * Proposes a new operator: a person with a sign-in, or a machine. Returns 0 when the proposal is stored, 2 when it
 * is refused.
 */
export const operatorAdd = (args: readonly string[]): Promise<number> =>
  proposed(args, (id, values, known) => {
    if (known !== undefined)
      throw new UnusableName(`${id} is registered: \`phylax operator change ${id}\` changes it`);
    if (values.cert === undefined || values.role === undefined || values.reinstate) throw new Misuse();
    return withOptions({ id, status: "active", kind: "machine", x5t: "", roles: [] }, values);
  });

/** Proposes different roles, a new certificate or sign-in, or the end of a suspension of an operator. */
export const operatorChange = (args: readonly string[]): Promise<number> =>
  proposed(args, (id, values, known) => {
    if (known === undefined)
      throw new UnusableName(`no operator ${id}: \`phylax operator list\` has their ids`);
    const { elevated: _limited, ...entry } = known;
    return withOptions({ ...entry, status: values.reinstate ? "active" : entry.status }, values);
  });

async function proposed(
  args: readonly string[],
  entryOf: (id: string, values: Values, known: RegisteredOperator | undefined) => Entry,
): Promise<number> {
  const { values, name: id } = read(args);
  const { why } = values;
  if (why === undefined) throw new Misuse("--why says the reason, for the approver and for the record");
  const from = posterOf(values);
  const known = (await readOperators(from)).find((each) => each.id === id);
  return giveSubmitted(await propose(from, { kind: "operator", why, operator: entryOf(id, values, known) }));
}

function withOptions(entry: Entry, values: Values): Entry {
  const { cert, role, issuer, subject, acr, amr, machine } = values;
  const x5t = cert === undefined ? entry.x5t : thumbprintOf(cert);
  const roles = role ?? entry.roles;
  const { signIn, ...rest } = { ...entry, x5t, roles };
  if (machine) {
    if (issuer !== undefined || subject !== undefined) throw new Misuse("a machine has no sign-in");
    return { ...rest, kind: "machine" };
  }
  if (issuer === undefined && subject === undefined && entry.kind === "machine" && signIn === undefined) {
    if (entry.x5t === "")
      throw new Misuse("a person needs --issuer and --subject; a machine needs --machine");
    return { ...rest, kind: "machine" };
  }
  const iss = issuer ?? signIn?.iss;
  const sub = subject ?? signIn?.sub;
  if (iss === undefined || sub === undefined) throw new Misuse("a person needs --issuer and --subject");
  const age = values["max-age"];
  return {
    ...rest,
    kind: "person",
    signIn: {
      maxAgeSeconds: 900,
      ...signIn,
      iss,
      sub,
      ...(acr !== undefined && { acr }),
      ...(amr !== undefined && { amr }),
      ...(age !== undefined && { maxAgeSeconds: Number(age) }),
    },
  };
}

/** Suspends an operator: each further request of it is refused. Returns 0, or 2 when it is refused. */
export const operatorSuspend = (args: readonly string[]): Promise<number> => narrowed(args, "suspend");

/** Removes an operator, with its roles for a limited time. Returns 0, or 2 when it is refused. */
export const operatorRemove = (args: readonly string[]): Promise<number> => narrowed(args, "remove");

async function narrowed(args: readonly string[], act: "suspend" | "remove"): Promise<number> {
  const { values, name: operator } = readNamedCall(args, posterOptions);
  const reply = await postAsOperator(posterOf(values), `api/operators/${act}`, JSON.stringify({ operator }));
  if (reply.status !== 200) return printRefusal(reply);
  giveResult(reply.body);
  say(act === "suspend" ? `suspended: ${operator}` : `removed: ${operator}`);
  return 0;
}
