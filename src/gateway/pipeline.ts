import type { PresentedCredentials } from "#gateway/admission/authenticate";
import { prove, type Caller, type ProveSigned } from "#gateway/admission/caller";
import { openReview } from "#gateway/admission/open-review";
import { openReleaseGate, type ReleaseGate } from "#gateway/admission/release-gate";
import { Recorder } from "#gateway/record/recorder";
import type { Principal } from "#identity/principal";
import { err, ok, type Result } from "#kernel/result";
import { brokenBody, refused, type AdmitRefusal, type GatewayRefusal } from "./outcome.ts";
import { perform } from "./perform.ts";
import type { GatewayPorts } from "./ports.ts";
import type { ArrivedRequest, Question, RecordedCall } from "./question.ts";
import { release, releaseFault, type ReleasedAnswer } from "./release.ts";

/** An admitted request at a door. A door reads and writes its tongue, and has no rule about who may see what. */
export interface Door {
  /** What the request presents: nothing of it is proven. */
  readonly call: PresentedCredentials & RecordedCall;
  readonly proveSigned: ProveSigned;
  /** Called when the caller is proven. */
  trust(caller: Caller): void;
  interpret(who: Principal): Promise<Result<Question, GatewayRefusal>>;
}

/**
 * A door's way in: admit, authenticate, gate, interpret, perform. The answer is on record. When something fails
 * nothing is disclosed: the fault of a known caller is on record and answered, and each other fault is thrown.
 */
export async function pass(
  request: ArrivedRequest,
  admitted: Result<Door, AdmitRefusal>,
  ports: GatewayPorts,
): Promise<ReleasedAnswer> {
  const recorder = new Recorder(request, ports);
  let answer: ReleasedAnswer | undefined;
  try {
    if (!admitted.ok) return (answer = await release(refused(admitted.error), recorder, ports));
    const asked = await enter(admitted.value, recorder, ports).catch((fault: unknown) =>
      err(brokenBody(fault)),
    );
    if (!asked.ok) return (answer = await release(refused(asked.error), recorder, ports));
    const [question, caller, gate] = asked.value;
    return (answer = await perform(question, caller, gate, recorder, ports));
  } catch (fault) {
    return (answer = await releaseFault(fault, recorder, ports));
  } finally {
    const { origin, leaveThread, principal, interaction } = recorder.facts;
    origin?.held.end();
    leaveThread?.();
    request.trace?.end(principal, interaction, answer?.outcome);
  }
}

/**
 * Answers a further question of a caller whose request a door answers by several questions: gate, perform. Each answer
 * has its own record. Parameters as of {@link pass}.
 */
export async function passFurther(
  request: ArrivedRequest,
  call: RecordedCall,
  caller: Caller,
  question: Question,
  ports: GatewayPorts,
): Promise<ReleasedAnswer> {
  const recorder = new Recorder(request, ports);
  const { who } = caller;
  recorder.learn({ call, principal: who });
  try {
    const gate = await openReleaseGate(caller, ports);
    if (!gate.ok) return await release(refused(gate.error), recorder, ports);
    recorder.learn({ gate: gate.value });
    recorder.learn({ leaveThread: await ports.thread.enter(who.client.id) });
    return await perform(question, caller, gate.value, recorder, ports);
  } catch (fault) {
    return await releaseFault(fault, recorder, ports);
  } finally {
    recorder.facts.origin?.held.end();
    recorder.facts.leaveThread?.();
  }
}

/**
 * Puts on record that a door refuses a request, after the core has answered.
 *
 * @param caller undefined: the stored authority of the request proves nobody now.
 */
export function refuseFurther(
  request: ArrivedRequest,
  call: RecordedCall,
  caller: Caller | undefined,
  refusal: GatewayRefusal,
  ports: GatewayPorts,
): Promise<ReleasedAnswer> {
  const recorder = new Recorder(request, ports);
  recorder.learn({ call, ...(caller !== undefined && { principal: caller.who }) });
  return release(refused(refusal), recorder, ports);
}

/** Each stage needs the results of the stages above it; the recorder learns them. */
async function enter(
  door: Door,
  recorder: Recorder,
  ports: GatewayPorts,
): Promise<Result<readonly [Question, Caller, ReleaseGate], GatewayRefusal>> {
  const { call } = door;
  const { trace } = recorder.request;
  recorder.learn({ call });
  trace?.stage("authenticate");
  const caller = await prove(call, door.proveSigned, ports, (facts) => recorder.learn(facts));
  if (!caller.ok) return caller;
  const { who } = caller.value;
  door.trust(caller.value);
  trace?.continueFrom(call);
  ports.ledgerQueue.admitClient(who.client.id);

  trace?.stage("lease");
  // The registry's answer comes side by side with the guard's: both may be on another continent.
  const ahead = ports.readAhead(call.origin, who.grant.policyDigest);
  const gate = await openReleaseGate(caller.value, ports);
  if (!gate.ok) return gate;
  if (ahead !== undefined) await ahead;
  recorder.learn({ gate: gate.value });
  trace?.stage("thread");
  recorder.learn({ leaveThread: await ports.thread.enter(who.client.id) });

  trace?.stage("review");
  const review = await openReview(who, recorder.request, ports);
  if (!review.ok) return review;
  if (review.value !== undefined) recorder.learn({ review: review.value });

  trace?.stage("interpret");
  const question = await door.interpret(who);
  return question.ok ? ok([question.value, caller.value, gate.value]) : question;
}
