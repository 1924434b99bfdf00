import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import {
  agreementsOf,
  grantsOf,
  type RegistryView,
  type ShownAgreement,
  type ShownClient,
  type ShownGrant,
} from "./registry-view.ts";
import { texts } from "./texts.ts";

/** A client with the registry that it is in, and the moment of the change. */
interface About {
  readonly view: RegistryView;
  readonly client: ShownClient;
  readonly at: Instant;
}
type Field = (name: string) => string;
type Draft = (about: About, field: Field) => Result<object, string>;

const { clientChange } = texts;

/** The name of a grant of a known client, in a form. */
export const grantChoice = ({ purpose, origin }: Pick<ShownGrant, "purpose" | "origin">): string =>
  `${purpose} ${origin}`;

/** The common changes of a client: each makes a change of the registry from the fields of its form. */
const drafts = {
  suspend: ({ client }) => ok({ set: { clients: [{ ...client, status: "suspended" }] } }),
  reinstate: ({ client }) =>
    ok({ set: { clients: [{ ...client, status: "active" }] }, reinstate: [client.id] }),
  /** Every agreement ends now, or is removed before it has begun, so the grants under them go. */
  end({ view, client, at }) {
    const now = new Date(at).toISOString();
    const agreements = agreementsOf(view, client.id).filter(({ to }) => Date.parse(to) > at);
    const grants = grantsOf(view, client.id);
    if (agreements.length + grants.length === 0) return err(clientChange.problems.ended);
    // an agreement cannot end before its first moment
    const hasBegun = ({ from }: ShownAgreement) => Date.parse(from) < at;
    return ok({
      set: {
        agreements: agreements.filter(hasBegun).map((agreement) => Object.assign({}, agreement, { to: now })),
      },
      remove: {
        agreements: agreements.filter((each) => !hasBegun(each)).map(({ id }) => id),
        grants: grants.map(({ client: of, origin, purpose }) => ({ client: of, origin, purpose })),
      },
    });
  },
  quota(about, field) {
    const grant = grantOf(about, field);
    const [requests, windowSeconds] = [Number(field("requests")), Number(field("windowSeconds"))];
    const policy = about.view.registry.policies?.find(({ name }) => name === grant?.policy);
    if (grant === undefined) return err(clientChange.problems.grant);
    if (policy === undefined) return err(clientChange.problems.policy);
    // a file names its policies: the grant keeps the policy that it has
    const changed = { ...grant, quotas: { ...grant.quotas, default: { requests, windowSeconds } } };
    return ok({ set: { policies: [policy], grants: [changed] } });
  },
  policy(about, field) {
    const grant = grantOf(about, field);
    const policy = about.view.registry.policies?.find(({ name }) => name === field("policy"));
    if (grant === undefined) return err(clientChange.problems.grant);
    if (policy === undefined) return err(clientChange.problems.policy);
    return ok({ set: { policies: [policy], grants: [{ ...grant, policy: policy.name }] } });
  },
  agreement({ view, client }, field) {
    const agreement = agreementsOf(view, client.id).find(({ id }) => id === field("agreement"));
    if (agreement === undefined) return err(clientChange.problems.agreement);
    return ok({ set: { agreements: [{ ...agreement, to: field("to") }] } });
  },
  certificate({ client }, field) {
    const added = field("certificate").trim();
    if (added === "") return err(clientChange.problems.certificate);
    return ok({ set: { clients: [{ ...client, certificates: [...(client.certificates ?? []), added] }] } });
  },
  entity({ client }, field) {
    const [name, address] = [field("name").trim(), field("address").trim()];
    if (name === "") return err(clientChange.problems.name);
    return ok({ set: { clients: [{ ...client, entity: { name, ...(address !== "" && { address }) } }] } });
  },
} as const satisfies Readonly<Record<string, Draft>>;

export type ClientChangeKind = keyof typeof drafts;

const isKind = (kind: string): kind is ClientChangeKind => Object.hasOwn(drafts, kind);

const grantOf = ({ view, client }: About, field: Field): ShownGrant | undefined =>
  grantsOf(view, client.id).find((grant) => grantChoice(grant) === field("grant"));

/**
 * The change document (docs/registry.md) that a form asks for, on the registry that its author saw. The error is a
 * sentence for the person. The registry's own checks judge the document.
 */
export function clientChangeOf(about: About, form: URLSearchParams): Result<object, string> {
  const kind = form.get("kind") ?? "";
  if (!isKind(kind)) return err(clientChange.problems.kind);
  const drafted = drafts[kind](about, (name) => form.get(name) ?? "");
  return drafted.ok ? ok({ expects: about.view.digest, ...drafted.value }) : drafted;
}
