import { isListing, isAnsweredLocally, isWriting } from "#fhir/interaction";
import { patientsNamed } from "#fhir/patients-named";
import type { Origins, PageLinks } from "#fhir/ports";
import type { Clock } from "#kernel/clock";
import type { Limiter } from "#limits/ports";
import { clientCertField } from "#identity/certificate/client-cert-field";
import type { Disclosure } from "#phi/disclosure";
import { evaluate } from "#policy/evaluate";
import { evaluateAccounting } from "#policy/evaluate-accounting";
import { evaluateListing } from "#policy/evaluate-listing";
import { account, type AccountPorts } from "#gateway/read/account";
import { admit, type Arrival } from "#gateway/admission/admit";
import { readBatchBody } from "#gateway/bundle/batch-entry";
import { answerBatch } from "#gateway/bundle/batch";
import { transact } from "#gateway/bundle/transaction";
import { authenticate, type AuthenticatePorts } from "#gateway/admission/authenticate";
import type { CompiledPolicies } from "#gateway/admission/compiled-policies";
import { gather } from "#gateway/read/gather";
import { askEarly } from "#gateway/admission/early-share";
import { interpret, type InterpretPorts } from "#gateway/admission/interpret";
import { list } from "#gateway/read/list";
import { tell, type TellPorts } from "#gateway/read/answer-locally";
import { OriginSession } from "#gateway/origin/origin-session";
import { relate } from "#gateway/origin/relate";
import { ReleaseGate } from "#gateway/admission/release-gate";
import { proveSigned, type ProveSignedPorts } from "#gateway/admission/prove-signed";
import { BodyNotWhole } from "#gateway/admission/resource-body";
import { Trail, type TrailPorts } from "#gateway/record/trail";
import { readWrite } from "#gateway/write/write-body";
import { write } from "#gateway/write/write";

export interface GatewayPorts
  extends AuthenticatePorts, InterpretPorts, TellPorts, ProveSignedPorts, AccountPorts, TrailPorts {
  readonly origins: Origins;
  readonly pages: PageLinks;
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
    if (fault instanceof BodyNotWhole) return trail.refuse({ reason: fault.reason }); // whatever was reading it
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
  const { who } = proven.value;
  trail.learn({ principal: who });
  await share;

  const signed = await proveSigned(call.value, arrival, who, ports);
  if (!signed.ok) return trail.refuse(signed.error);
  const { message, signedBy } = signed.value;
  trail.learn({ signedBy });

  const gate = new ReleaseGate(proven.value, signedBy, ports);
  const admitted = await gate.admit();
  if (!admitted.ok) return trail.refuse(admitted.error);
  trail.learn({ gate });

  const what = await interpret(call.value, message, who, ports);
  if (!what.ok) return trail.refuse(what.error);
  const { interaction, place } = what.value;
  trail.learn({ interaction });
  const { at } = call.value;
  const origin = new OriginSession(ports.origins, {
    name: call.value.origin,
    base: ports.fhirBase(call.value.origin),
    at,
    clientCert: clientCertField(call.value.tlsClientAuth, who.certificate),
  });
  trail.learn({ origin });
  const named = patientsNamed(interaction);
  origin.nameUnjudged(named);

  const policy = await ports.policies.byDigest(who.grant.policyDigest);
  if (policy === undefined) return trail.refuse({ reason: "policy_missing" });
  trail.learn({ policyDigest: who.grant.policyDigest });

  const related = await relate(who, policy.users, origin, at);
  if (!related.ok) return trail.refuse(related.error);
  const access = related.value;
  const naming = origin.nameAsked(named, access);
  if (!naming.ok) return trail.refuse(naming.error);

  if (isAnsweredLocally(interaction)) {
    const told = await tell(interaction, { call: call.value, policy, access, message }, ports);
    return told.ok ? trail.tell(told.value) : trail.refuse(told.error);
  }
  const writing = { policy, access, origin, gate };
  if (isWriting(interaction)) {
    const written = await readWrite(interaction, message);
    return written.ok ? write(written.value, writing, trail) : trail.refuse(written.error);
  }
  if (interaction.kind === "batch") {
    const batch = await readBatchBody(message, origin.held);
    if (!batch.ok) return trail.refuse(batch.error);
    const scene = {
      ...writing,
      requestId: call.value.id,
      who,
      at,
      prefer: message.headers.get("prefer"),
      pages: ports.pages,
    };
    return batch.value.kind === "batch"
      ? answerBatch(batch.value, scene, trail)
      : transact(batch.value, scene, trail);
  }

  const release = async (disclosed: Disclosure) => {
    const still = await gate.stillGood();
    if (!still.ok) return trail.refuse(still.error);
    const credits = await gate.spendRecords(disclosed, origin.concerned);
    if (!credits.ok) return trail.refuse(credits.error);
    return trail.release(disclosed, async () => {
      if (!(await gate.stillGood()).ok) throw new Error("denied in the middle of the answer");
    });
  };
  if (interaction.kind === "disclosures") {
    const permitted = evaluateAccounting(policy, access, { purpose: who.purpose, asked: interaction });
    if (!permitted.ok) return trail.refuse(permitted.error);
    const accounted = await account(
      { asked: interaction, grant: permitted.value, origin, at, who, caller: trail.caller },
      ports,
    );
    return accounted.ok ? release(accounted.value) : trail.refuse(accounted.error);
  }

  const grant = isListing(interaction)
    ? evaluateListing(policy, access, interaction)
    : evaluate(policy, access, interaction);
  if (!grant.ok) return trail.refuse(grant.error);

  const asked = { origin, at, who, place };
  const disclosed = await ("kind" in grant.value
    ? list({ ...asked, grant: grant.value }, ports.pages)
    : gather({ ...asked, grant: grant.value }, ports.pages));
  return disclosed.ok ? release(disclosed.value) : trail.refuse(disclosed.error);
}
