import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { giveSubmitted, submitChange } from "../approvals/submit-change.ts";
import { posterOf, posterOptions } from "../connection/operator-post.ts";
import { readJsonFile } from "../json-file.ts";
import { Misuse, UnusableFile } from "../misuse.ts";
import { requirePublic } from "../registry/public-file.ts";
import { policiesOf, readRegistryOf } from "../registry/registry-show.ts";
import { certificateText } from "./certificate-file.ts";
import { checklist } from "./client-list.ts";
import { say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

const options = {
  ...posterOptions,
  why: { type: "string" },
  kind: { type: "string", default: "other" },
  auth: { type: "string", default: "private_key_jwt" },
  cert: { type: "string", multiple: true },
  jwks: { type: "string" },
  dpop: { type: "boolean", default: false },
  issuer: { type: "string" },
  "external-id": { type: "string" },
  agreement: { type: "string" },
  "agreement-kind": { type: "string" },
  document: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  origin: { type: "string", default: "main" },
  purpose: { type: "string", multiple: true },
  policy: { type: "string" },
  scopes: { type: "string", default: "system/*.rs" },
  requests: { type: "string", default: "600" },
  window: { type: "string", default: "60" },
} as const;

/**
 * Registers a client with its keys or certificates, its agreement with the hash of the signed document, and a
 * grant for each purpose, in one change. A part without options is left out, and the checklist names what is
 * missing. Returns 0 when the change is applied or proposed, 2 when it is refused.
 */
export async function clientAdd(args: readonly string[]): Promise<number> {
  const { values, name: id } = read(args);
  const from = posterOf(values);
  const { policy } = values;
  const registered = policy === undefined || isDigest(policy) ? undefined : await readRegistryOf(from);
  const policies = registered === undefined ? [] : policiesOf(registered.lists, [policy]);
  const submitted = await submitChange(
    from,
    {
      ...(registered !== undefined && { expects: registered.digest }),
      set: { ...entriesOf(id, values), policies },
    },
    values.why,
  );
  if (submitted.exitCode !== 0 || values.why !== undefined) return giveSubmitted(submitted);
  const { missing, lines } = await checklist(from, id);
  for (const line of lines) say(line);
  return giveSubmitted(submitted, { missing });
}

const read = (args: readonly string[]) => readNamedCall(args, options);
type Values = ReturnType<typeof read>["values"];

function entriesOf(id: string, values: Values): object {
  const { agreement, document, policy, purpose: purposes = [] } = values;
  if (values.auth === "private_key_jwt" && values.jwks === undefined)
    throw new Misuse(
      "--jwks FILE has the public keys of a client with --auth private_key_jwt; with a certificate alone: --auth tls_client_auth",
    );
  const client = {
    id,
    kind: values.kind,
    auth: values.auth,
    ...(values.dpop && { dpop: true }),
    ...(values.issuer !== undefined && { issuer: values.issuer }),
    ...(values["external-id"] !== undefined && { externalClientId: values["external-id"] }),
    ...(values.jwks !== undefined && { jwks: readJwks(values.jwks) }),
    certificates: (values.cert ?? []).map(certificateText),
  };
  if ((policy !== undefined || document !== undefined) && (agreement === undefined || purposes.length === 0))
    throw new Misuse("an agreement and a grant need --agreement ID and --purpose CODE");
  if (values["agreement-kind"] !== undefined && document === undefined)
    throw new Misuse("--agreement-kind is of a new agreement: add --document FILE");
  const agreements =
    agreement === undefined || document === undefined
      ? []
      : [
          {
            id: agreement,
            client: id,
            purposes,
            from: values.from ?? new Date().toISOString(),
            to: needed("--to", values.to),
            ...(values["agreement-kind"] !== undefined && { kind: values["agreement-kind"] }),
            documentHash: createHash("sha256").update(readFileSync(document)).digest("hex"),
          },
        ];
  const grants =
    policy === undefined
      ? []
      : purposes.map((purpose) => ({
          client: id,
          origin: values.origin,
          purpose,
          agreement,
          policy,
          scopes: values.scopes,
          quotas: { default: { requests: Number(values.requests), windowSeconds: Number(values.window) } },
        }));
  return { clients: [client], agreements, grants };
}

const isDigest = (policy: string): boolean => policy.startsWith("sha256:");

function needed(option: string, value: string | undefined): string {
  if (value === undefined) throw new Misuse(`${option} is missing: an agreement has an end`);
  return value;
}

/** A JWK Set, or a single public JWK. */
export function readJwks(file: string): { readonly keys: readonly unknown[] } {
  const read = readJsonFile(file);
  if (!read.ok) throw new UnusableFile(`${file} ${read.error}: --jwks takes a JWK Set or a public JWK`);
  requirePublic(file, read.value);
  const value = read.value as { readonly keys?: readonly unknown[] } | null; // the API checks it
  return { keys: value?.keys ?? [value] };
}
