import type { AccountingCaller } from "#audit/accounting/disclosures";
import type { ConsentOperationRequest, Interaction, Reading, Writing } from "#fhir/interaction";
import type { Listing } from "#fhir/listing";
import { canonicalText } from "#fhir/json/same";
import { ok, type Result } from "#kernel/result";
import type { Disclosure } from "#phi/disclosure";
import { evaluate } from "#policy/evaluate";
import { evaluateAccounting } from "#policy/evaluate-accounting";
import { allowed, evaluateListing } from "#policy/evaluate-listing";
import type { Call } from "#gateway/admission/admit";
import type { Caller } from "#gateway/admission/authenticate-caller";
import type { Question } from "#gateway/admission/interpret";
import { nextLinks, type NextLinks } from "#gateway/admission/page-links";
import type { Permission } from "#gateway/admission/permit";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import { once } from "#gateway/change/attempt";
import { hasWrite, readBatchBody, type AskedBundle } from "#gateway/change/batch-entry";
import { answerBundle } from "#gateway/change/bundle";
import type { ChangeRecord } from "#gateway/change/change-set";
import { consentTransaction } from "#gateway/change/consent-operation";
import { keyedRequest, requestKey } from "#gateway/change/request-key";
import { write } from "#gateway/change/write";
import type { OriginSession } from "#gateway/origin/origin-session";
import { account } from "#gateway/read/account";
import { capabilities, validate } from "#gateway/read/answer-locally";
import { gather } from "#gateway/read/gather";
import { list } from "#gateway/read/list";
import { contentOf, readWrite } from "#gateway/write/write-body";
import { refused, type GatewayRefusal, type Outcome } from "./outcome.ts";
import type { GatewayPorts } from "./ports.ts";

/** The part of the recorder that stages get: it puts on record what must be there before the outcome. */
interface StageRecord extends ChangeRecord {
  readonly caller: AccountingCaller;
}

/** A parsed request of a known caller. Each answerer takes the parts that it needs. */
export interface KnownRequest {
  readonly call: Call;
  readonly caller: Caller;
  readonly question: Question;
  readonly permission: Permission;
  readonly origin: OriginSession;
  readonly gate: ReleaseGate;
  readonly record: StageRecord;
}

type Kind = Interaction["kind"];
/** The interactions of a kind. Some members of the union have several kinds. */
type Of<K extends Kind, I = Interaction> = I extends { readonly kind: infer Kinds }
  ? K extends Kinds
    ? I
    : never
  : never;
type Answerer<I> = (interaction: I, request: KnownRequest, ports: GatewayPorts) => Promise<Outcome>;

const read: Answerer<Reading> = async (interaction, request, ports) => {
  const { permission, question, origin } = request;
  const grant = evaluate(permission.policy, permission.access, interaction);
  if (!grant.ok) return refused(grant.error);
  const links = linksOf(request, ports);
  return disclosed(await gather(grant.value, question.place, origin, links), request);
};

const listing: Answerer<Listing> = async (interaction, request, ports) => {
  const { permission, question, origin } = request;
  const grant = evaluateListing(permission.policy, permission.access, interaction);
  if (!grant.ok) return refused(grant.error);
  const links = linksOf(request, ports);
  return disclosed(await list(grant.value, question.place, origin, links), request);
};

const accounting: Answerer<Of<"disclosures">> = async (interaction, request, ports) => {
  const { permission, caller, call, origin, record } = request;
  const asking = { purpose: caller.who.purpose, asked: interaction };
  const grant = evaluateAccounting(permission.policy, permission.access, asking);
  if (!grant.ok) return refused(grant.error);
  const links = linksOf(request, ports);
  const question = {
    asked: interaction,
    grant: grant.value,
    origin,
    at: call.at,
    links,
    caller: record.caller,
  };
  return disclosed(await account(question, ports), request);
};

const writing: Answerer<Writing> = async (interaction, request, ports) => {
  const { call, caller, permission, origin, gate, record } = request;
  const key = requestKey(caller.message, caller.who);
  if (!key.ok) return refused(key.error);
  const message = await readWrite(interaction, caller.message);
  if (!message.ok) return refused(message.error);
  const { value: asked } = message;
  const keyed = keyedRequest(key.value, call, caller, () => contentOf(asked.body));
  const written = await once(keyed, ports.requestKeys, origin, "write", (attempt) =>
    write(asked, permission, origin, gate, record, attempt),
  );
  return written.ok ? { kind: "written", write: written.value, gate, origin } : refused(written.error);
};

const bundle: Answerer<Of<"batch">> = async (_interaction, request, ports) => {
  const { caller, origin } = request;
  const bundle = await readBatchBody(caller.message, origin);
  if (!bundle.ok) return refused(bundle.error);
  const key = hasWrite(bundle.value) ? requestKey(caller.message, caller.who) : ok(undefined);
  if (!key.ok) return refused(key.error);
  return inBundle(bundle.value, key.value, request, ports);
};

const consentDoneText = {
  fileConsent: "The Consent is filed, and in force at this gateway if it is active.",
  revokeConsent: "The Consent is inactive, and in force no longer.",
} as const;

const consentOperation: Answerer<ConsentOperationRequest> = async ({ kind }, request, ports) => {
  const { caller, permission, origin } = request;
  const refusal = allowed(permission.policy, kind);
  if (refusal?.ok === false) return refused(refusal.error);
  const key = requestKey(caller.message, caller.who);
  if (!key.ok) return refused(key.error);
  const transaction = await consentTransaction(kind, caller.message, permission, origin);
  if (!transaction.ok) return refused(transaction.error);
  return inBundle(transaction.value, key.value, request, ports, consentDoneText[kind]);
};

/** @param doneText the text of the answer to an operation that is done as a transaction. */
async function inBundle(
  asked: AskedBundle,
  key: string | undefined,
  request: KnownRequest,
  ports: GatewayPorts,
  doneText?: string,
): Promise<Outcome> {
  const { call, caller, permission, origin, gate, record } = request;
  const links = linksOf(request, ports);
  const keyed = keyedRequest(key, call, caller, () => canonicalText(asked.body));
  const answered = await once(keyed, ports.requestKeys, origin, "bundle", (attempt) =>
    answerBundle(asked, permission, origin, links, gate, record, attempt),
  );
  if (!answered.ok) return refused(answered.error);
  const bundle = doneText === undefined ? answered.value : { ...answered.value, doneText };
  return { kind: "bundle", bundle, gate, origin };
}

/** The answerer for each kind of interaction. A new kind does not compile without a row. */
const answerers: { readonly [K in Kind]: Answerer<Of<K>> } = {
  read,
  vread: read,
  search: read,
  history: listing,
  everything: listing,
  lastn: listing,
  disclosures: accounting,
  capabilities: async (_interaction, { permission, origin }, ports) => ({
    kind: "local",
    resource: await capabilities(permission, origin, ports),
  }),
  validate: async (interaction, { permission, caller, call }) => {
    const judged = await validate(interaction, permission, caller.message, call.id);
    return judged.ok ? { kind: "local", resource: judged.value } : refused(judged.error);
  },
  create: writing,
  update: writing,
  patch: writing,
  delete: writing,
  "conditional-update": writing,
  "conditional-patch": writing,
  "conditional-delete": writing,
  batch: bundle,
  fileConsent: consentOperation,
  revokeConsent: consentOperation,
};

export function dispatch(request: KnownRequest, ports: GatewayPorts): Promise<Outcome> {
  const { interaction } = request.question;
  // the row of a kind takes the interactions of that kind
  const answerer = answerers[interaction.kind] as Answerer<Interaction>;
  return answerer(interaction, request, ports);
}

const linksOf = ({ caller, origin, call }: KnownRequest, { pages }: GatewayPorts): NextLinks =>
  nextLinks(pages, caller.who, origin.base, call.at);

const disclosed = (result: Result<Disclosure, GatewayRefusal>, { gate, origin }: KnownRequest): Outcome =>
  result.ok ? { kind: "disclosed", disclosure: result.value, gate, origin } : refused(result.error);
