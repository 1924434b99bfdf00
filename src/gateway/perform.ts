import { isProven, type Caller } from "#gateway/admission/caller";
import { permit } from "#gateway/admission/permit";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import { inForm } from "#gateway/deid/in-form";
import { openOrigin, type OriginSession } from "#gateway/origin/origin-session";
import type { Recorder } from "#gateway/record/recorder";
import { contentUnits } from "#limits/shared-thread";
import type { CompiledPolicy } from "#policy/compile";
import { mayHideStrangers } from "#policy/search/searched-unnamed";
import { authorize } from "./dispatch.ts";
import { JudgedAgain } from "./judged-again.ts";
import { brokenBody, refused, type Outcome } from "./outcome.ts";
import type { GatewayPorts } from "./ports.ts";
import type { Content, Question } from "./question.ts";
import { release, type ReleasedAnswer } from "./release.ts";

/** Performs a question of a proven caller: authorize, answer, record, release. It is the same for every door. */
export async function perform(
  question: Question,
  caller: Caller,
  gate: ReleaseGate,
  recorder: Recorder,
  ports: GatewayPorts,
): Promise<ReleasedAnswer> {
  if (!isProven(caller)) throw new Error("a caller who is claimed, not proven");
  const read = (bytes: number) => ports.thread.charge(caller.who.client.id, contentUnits * bytes);
  const asked = { ...question, content: readOnce(question.content, read) };
  const judge = async (): Promise<Outcome> => {
    const answered = answer(asked, caller, gate, recorder, ports);
    return answered.catch((fault: unknown) => refused(brokenBody(fault)));
  };
  const judgeAgain = async () => {
    gate.judgedAgain();
    const outcome = await judge();
    recorder.request.trace?.stage("release");
    return outcome;
  };
  return release(await judge(), recorder, ports, new JudgedAgain(judgeAgain));
}

/** Content that is read from its sender once: a question that is judged again reads it again. */
function readOnce(content: Content, learn: (bytes: number) => void): Content {
  const read: Content["read"] = async (...asked) => {
    const bytes = await content.read(...asked);
    if (bytes.ok) learn(bytes.value.length);
    return bytes;
  };
  let bytes: ReturnType<Content["read"]> | undefined;
  return {
    stated: (name) => content.stated(name),
    get sameRequest() {
      return content.sameRequest;
    },
    uploadType: content.uploadType,
    read: (form, bytesMax) => (bytes ??= read(form, bytesMax)),
  };
}

async function answer(
  question: Question,
  caller: Caller,
  gate: ReleaseGate,
  recorder: Recorder,
  ports: GatewayPorts,
): Promise<Outcome> {
  const { interaction } = question;
  const { who } = caller;
  recorder.request.trace?.stage("authorize");
  recorder.facts.origin?.held.end(); // of a judgement before
  const origin = openOrigin(recorder.request, caller, interaction, ports);
  recorder.learn({ interaction, origin });

  const policy = await ports.policies.byDigest(who.grant.policyDigest);
  if (policy === undefined) return refused({ reason: "policy_missing" });
  recorder.learn({ policyDigest: policy.digest, mayCarryPart2: policy.labels.part2, form: policy.form });
  const { form } = policy;
  if (form === undefined) return answerPlainly(question, caller, policy, gate, origin, recorder, ports);
  const { name, base } = origin;
  const { at } = recorder.request;
  return inForm(interaction, { form, who, origin: name, base, at }, ports.dataSets, (meant) => {
    origin.held.end();
    const session = openOrigin(recorder.request, caller, meant, ports);
    session.windowMax = Infinity; // the bytes that a form removes would show in the number of records
    recorder.learn({ origin: session }); // the record has the question as it was asked
    return answerPlainly({ ...question, interaction: meant }, caller, policy, gate, session, recorder, ports);
  });
}

/** The answer as the view of the policy shows it. */
async function answerPlainly(
  question: Question,
  { who }: Caller,
  policy: CompiledPolicy,
  gate: ReleaseGate,
  origin: OriginSession,
  recorder: Recorder,
  ports: GatewayPorts,
): Promise<Outcome> {
  const { interaction } = question;
  const permission = await permit(policy, who, interaction, origin, recorder.request.at, ports);
  if (!permission.ok) return refused(permission.error);
  gate.restsOn(async () => (await origin.facts?.stand()) ?? true);

  const granted = authorize(permission.value, interaction);
  if (!granted.ok) return refused(granted.error);
  recorder.request.trace?.stage("answer");
  const outcome = await granted.value(
    { question, who, permission: permission.value, origin, gate, record: recorder },
    ports,
  );
  if (!mayHideStrangers(interaction)) return outcome;
  const covered = await origin.coverRelation();
  const isOfRow = outcome.kind === "disclosed" || outcome.kind === "refused";
  return covered.ok || !isOfRow ? outcome : refused(covered.error);
}
