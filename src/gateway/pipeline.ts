import { isListing, isTold, isWriting } from "#fhir/interaction";
import type { OriginQuestion, Origins } from "#fhir/ports";
import type { Clock } from "#kernel/clock";
import type { Limiter } from "#limits/ports";
import { clientCertField } from "#identity/client-cert-field";
import { deniedPrincipal, deniedSigner, type DeniedNames } from "#identity/denial";
import type { Disclosure } from "#phi/disclosure";
import { evaluate } from "#policy/evaluate";
import { evaluateAccounting } from "#policy/evaluate-accounting";
import { evaluateListing } from "#policy/evaluate-listing";
import { account, type AccountPorts } from "./account.ts";
import { admit, type Arrival } from "./admit.ts";
import { readBatchBody } from "./batch-entry.ts";
import { answerBatch } from "./batch.ts";
import { transact } from "./transaction.ts";
import { authenticate, type AuthenticatePorts } from "./authenticate.ts";
import type { CompiledPolicies } from "./compiled-policies.ts";
import { forward } from "./forward.ts";
import { gather, type GatherPorts } from "./gather.ts";
import { askEarly } from "./early-share.ts";
import { interpret, type InterpretPorts } from "./interpret.ts";
import { list } from "./list.ts";
import { tell, type TellPorts } from "./tell.ts";
import { relate } from "./relate.ts";
import { proveSigned, type ProveSignedPorts } from "./prove-signed.ts";
import { clientSpend, recordSpends, requestSpends } from "./spends.ts";
import { BodyNotWhole } from "./timely-body.ts";
import { Trail, type TrailPorts } from "./trail.ts";
import { readWrite } from "./write-body.ts";
import { write } from "./write.ts";

export interface GatewayPorts
  extends AuthenticatePorts, InterpretPorts, TellPorts, ProveSignedPorts, GatherPorts, AccountPorts, TrailPorts {
  readonly origins: Origins;
  readonly clock: Clock;
  readonly limiter: Limiter;
  readonly policies: CompiledPolicies;
}

/** Answers a request, on record. Throws when the outside fails. */
export async function serve(arrival: Arrival, ports: GatewayPorts): Promise<Response> {
  const trail = new Trail(arrival, ports);
  try {
    return await pass(arrival, trail, ports);
  } catch (fault) {
    if (fault instanceof BodyNotWhole) return trail.refuse({ reason: fault.reason }); // whoever was reading it
    throw fault;
  }
}

/** A request's way through, top to bottom. Each stage needs what the ones above made; each way out goes through the trail. */
async function pass(arrival: Arrival, trail: Trail, ports: GatewayPorts): Promise<Response> {
  const call = admit(arrival);
  if (!call.ok) return trail.refuse(call.error);
  trail.learn({ call: call.value });

  let share = Promise.resolve();
  const proven = await authenticate(call.value, ports, (certificate) => {
    trail.learn({ certificate: certificate.x5t });
    share = askEarly(call.value, certificate, ports); // beside the proof of the token
  });
  if (!proven.ok) return trail.refuse(proven.error);
  const { who, stillStands } = proven.value;
  trail.learn({ principal: who });
  await share;

  const signed = await proveSigned(call.value, arrival, who, ports);
  if (!signed.ok) return trail.refuse(signed.error);
  const { message, signedBy } = signed.value;
  trail.learn({ signedBy });

  // A denied token is named until it ends: past that, only the clock says so.
  const ended = () => (ports.clock() < who.tokenExpires ? undefined : ({ reason: "token_expired" } as const));
  const denied = (names: DeniedNames) => deniedPrincipal(names, who) ?? deniedSigner(names, who.client, signedBy) ?? ended();
  const budget = await ports.limiter.spend(requestSpends(who), denied);
  if (!budget.ok) return trail.refuse(budget.error);
  trail.learn({ budgets: budget.value });

  const what = await interpret(call.value, message, who, ports);
  if (!what.ok) return trail.refuse(what.error);
  const { interaction, place } = what.value;
  trail.learn({ interaction });

  const policy = await ports.policies.byDigest(who.grant.policyDigest);
  if (policy === undefined) return trail.refuse({ reason: "policy_missing" });
  trail.learn({ policyDigest: who.grant.policyDigest });

  const { origin, at } = call.value;
  const { residences } = trail;
  const clientCert = clientCertField(call.value.tlsClientAuth, who.certificate);
  const ask = (question: OriginQuestion) => forward(ports.origins, origin, question, clientCert);
  const access = await relate(who, policy.users, { ask, base: ports.fhirBase(origin), at, residences });
  if (!access.ok) return trail.refuse(access.error);

  // The origin may take longer than the lease lives, and the registry's word: both are asked for again, and no answer is a no.
  const stillGood = async () => {
    const lease = await ports.limiter.renew(clientSpend(who), denied); // without spending
    return lease.ok ? stillStands(ports.clock()) : lease;
  };
  const spendRecords = async (disclosure: Disclosure) => {
    const credits = await ports.limiter.spend(recordSpends(who, disclosure), denied);
    if (credits.ok) trail.learn({ budgets: [...budget.value, ...credits.value] });
    return credits;
  };
  if (isTold(interaction)) {
    const told = await tell(interaction, { call: call.value, policy, access: access.value, message }, ports);
    return told.ok ? trail.tell(told.value) : trail.refuse(told.error);
  }
  const base = ports.fhirBase(origin);
  const asking = { policy, access: access.value, base, ask, residences };
  const writing = { ...asking, origin, origins: ports.origins, clientCert, still: stillGood, spendRecords };
  if (isWriting(interaction)) {
    const written = await readWrite(interaction, message);
    return written.ok ? write(written.value, writing, trail) : trail.refuse(written.error);
  }
  if (interaction.kind === "batch") {
    const batch = await readBatchBody(message);
    if (!batch.ok) return trail.refuse(batch.error);
    const spendRequests = (many: number) => ports.limiter.spend(many < 1 ? [] : requestSpends(who, many), denied);
    const scene = { ...writing, requestId: call.value.id, who, at, prefer: message.headers.get("prefer"), ports, spendRequests };
    return batch.value.kind === "batch" ? answerBatch(batch.value, scene, trail) : transact(batch.value, scene, trail);
  }

  const release = async (disclosed: Disclosure) => {
    const still = await stillGood();
    if (!still.ok) return trail.refuse(still.error);
    const credits = await spendRecords(disclosed);
    if (!credits.ok) return trail.refuse(credits.error);
    return trail.release(disclosed, async () => {
      if (!(await stillGood()).ok) throw new Error("denied in the middle of the answer");
    });
  };
  if (interaction.kind === "disclosures") {
    const permitted = evaluateAccounting(policy, access.value, { purpose: who.purpose, asked: interaction });
    if (!permitted.ok) return trail.refuse(permitted.error);
    const accounted = await account(
      { asked: interaction, grant: permitted.value, ask, origin, base, at, caller: trail.caller, residences },
      ports,
    );
    return accounted.ok ? release(accounted.value) : trail.refuse(accounted.error);
  }

  const grant = isListing(interaction) ? evaluateListing(policy, access.value, interaction) : evaluate(policy, access.value, interaction);
  if (!grant.ok) return trail.refuse(grant.error);

  const asked = { origin, at, who, place, residences };
  const disclosed = await ("kind" in grant.value
    ? list({ ...asked, grant: grant.value, ask }, ports)
    : gather({ ...asked, grant: grant.value, clientCert }, ports));
  return disclosed.ok ? release(disclosed.value) : trail.refuse(disclosed.error);
}
