import { readInteraction, type Interaction } from "#fhir/interaction";
import type { OriginAnswer, Origins } from "#fhir/ports";
import { err, ok, type Result } from "#kernel/result";
import type { Clock } from "#kernel/clock";
import type { Limiter, Spend } from "#limits/ports";
import type { Principal } from "#identity/principal";
import { disclose } from "#phi/disclose";
import { evaluate } from "#policy/evaluate";
import { admit, type Arrival } from "./admit.ts";
import { authenticate, type AuthenticatePorts } from "./authenticate.ts";
import type { CompiledPolicies } from "./compiled-policies.ts";
import type { OriginRefusal } from "./refusal.ts";
import { Trail, type TrailPorts } from "./trail.ts";

export interface GatewayPorts extends AuthenticatePorts, TrailPorts {
  readonly clock: Clock;
  readonly limiter: Limiter;
  readonly policies: CompiledPolicies;
  readonly origins: Origins;
}

/** A request's way through, top to bottom. Each stage needs what the ones above made; each way out goes through the trail. */
export async function serve(arrival: Arrival, ports: GatewayPorts): Promise<Response> {
  const trail = new Trail(arrival, ports);

  const call = admit(arrival);
  if (!call.ok) return trail.refuse(call.error);
  trail.learn({ call: call.value });

  const who = await authenticate(call.value, ports, ({ x5t }) => trail.learn({ certificate: x5t }));
  if (!who.ok) return trail.refuse(who.error);
  trail.learn({ principal: who.value });

  const budget = await ports.limiter.spend(spendOf(who.value));
  if (!budget.ok) return trail.refuse(budget.error);
  trail.learn({ budget: budget.value });

  const what = readInteraction(call.value.method, call.value.segments, call.value.query, ports.fhirBase(call.value.origin));
  if (!what.ok) return trail.refuse(what.error);
  trail.learn({ interaction: what.value });

  const policy = await ports.policies.byDigest(who.value.grant.policyDigest);
  if (policy === undefined) return trail.refuse({ reason: "policy_missing" });
  trail.learn({ policyDigest: who.value.grant.policyDigest });

  const grant = evaluate(policy, who.value.scopes, what.value);
  if (!grant.ok) return trail.refuse(grant.error);

  const answer = answered(await ports.origins.ask(call.value.origin, grant.value.ask), what.value.kind);
  if (!answer.ok) return trail.refuse(answer.error);

  const { body, base } = answer.value;
  const disclosed = disclose(body, grant.value, { origin: base, public: ports.fhirBase(call.value.origin), name: call.value.origin });
  if (!disclosed.ok) return trail.refuse(disclosed.error);

  // The origin may have taken longer than the lease lives: an ended one is asked for again, without spending, and no answer is a no.
  if (ports.clock() >= budget.value.livesUntil) await ports.limiter.renew(spendOf(who.value));
  return trail.release(disclosed.value);
}

function spendOf({ client, grant }: Principal): Spend {
  return { client: client.id, key: `${grant.origin}/${grant.purpose}`, quota: grant.quotas.default };
}

/** Only a whole answer goes on; the origin's own words for anything else stay inside. */
function answered(
  answer: OriginAnswer | undefined,
  asked: Interaction["kind"],
): Result<Extract<OriginAnswer, { kind: "answered" }>, OriginRefusal> {
  switch (answer?.kind) {
    case undefined:
      return err({ reason: "origin_unknown" });
    case "answered":
      return ok(answer);
    case "absent":
      return err({ reason: "absent" });
    case "refused":
      // A search that is well-formed by R4 and that this server does not know: the client can ask otherwise.
      if (asked === "search" && (answer.status === 400 || answer.status === 422))
        return err({ reason: "origin_rejected_search", status: answer.status });
      return err({ reason: "origin_refused", status: answer.status });
    case "too_large":
      return err({ reason: "origin_answer_too_large" });
    case "unreachable":
      return err({ reason: "origin_unreachable" });
    case "timed_out":
      return err({ reason: "origin_timed_out" });
    case "resting":
      return err({ reason: "origin_resting", retryAfterSeconds: answer.retryAfterSeconds });
  }
}
