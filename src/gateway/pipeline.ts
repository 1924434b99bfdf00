import { admit, type Arrival } from "#gateway/admission/admit";
import { authenticateCaller } from "#gateway/admission/authenticate-caller";
import { interpret } from "#gateway/admission/interpret";
import { openReview } from "#gateway/admission/open-review";
import { permit } from "#gateway/admission/permit";
import { openReleaseGate } from "#gateway/admission/release-gate";
import { openOrigin } from "#gateway/origin/origin-session";
import { Recorder } from "#gateway/record/recorder";
import { dispatch } from "./dispatch.ts";
import { brokenBody, refused, type Outcome } from "./outcome.ts";
import type { GatewayPorts } from "./ports.ts";
import { recordFault, release } from "./release.ts";

/**
 * Answers a request, on record. When something fails nothing is disclosed: the fault of a known caller is on record
 * and answered, and each other fault is thrown.
 */
export async function serve(arrival: Arrival, ports: GatewayPorts): Promise<Response> {
  const recorder = new Recorder(arrival, ports);
  try {
    const outcome = await pass(arrival, recorder, ports).catch(brokenBody);
    return await release(outcome, arrival, recorder, ports);
  } catch (fault) {
    return recordFault(fault, arrival, recorder, ports);
  }
}

/** The stages of a request. Each needs the results of the stages above it; the recorder learns them. */
async function pass(arrival: Arrival, recorder: Recorder, ports: GatewayPorts): Promise<Outcome> {
  const call = admit(arrival);
  if (!call.ok) return refused(call.error);
  recorder.learn({ call: call.value });

  const caller = await authenticateCaller(call.value, arrival, ports, (facts) => recorder.learn(facts));
  if (!caller.ok) return refused(caller.error);
  const { who } = caller.value;
  arrival.body?.trust?.();

  // The registry's answer comes side by side with the guard's: both may be on another continent.
  const ahead = ports.readAhead(call.value.origin, who.grant.policyDigest);
  const gate = await openReleaseGate(caller.value, ports);
  if (!gate.ok) return refused(gate.error);
  if (ahead !== undefined) await ahead;
  recorder.learn({ gate: gate.value });

  const review = await openReview(who, call.value, ports);
  if (!review.ok) return refused(review.error);
  if (review.value !== undefined) recorder.learn({ review: review.value });

  const question = await interpret(call.value, caller.value, ports);
  if (!question.ok) return refused(question.error);
  const { interaction } = question.value;
  const origin = openOrigin(call.value, who, interaction, ports);
  recorder.learn({ interaction, origin });

  const policy = await ports.policies.byDigest(who.grant.policyDigest);
  if (policy === undefined) return refused({ reason: "policy_missing" });
  recorder.learn({ policyDigest: policy.digest, mayCarryPart2: policy.labels.part2 });
  const permission = await permit(policy, who, interaction, origin, call.value.at, ports);
  if (!permission.ok) return refused(permission.error);
  gate.value.restsOn(async () => (await origin.facts?.stand()) ?? true);

  const known = { call: call.value, caller: caller.value, question: question.value, origin };
  return dispatch({ ...known, permission: permission.value, gate: gate.value, record: recorder }, ports);
}
