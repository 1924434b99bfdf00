import type { RecordedOnly } from "#entrypoint/refusal-reasons";
import type { Disclosure } from "#phi/disclosure";
import { faceOf } from "#entrypoint/gateway-face";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import type { Trail } from "#gateway/record/trail";
import type { AskedWrite } from "./write-body.ts";
import type { CriteriaScene } from "./write-criteria.ts";
import { concernsNobody } from "#gateway/origin/concerned-by-write";
import type { PlannedWrite } from "./planned-write.ts";
import { planWrite } from "./write-plan.ts";
import { noteWritten, represent, sendWrite } from "./write-send.ts";

export interface WriteScene extends CriteriaScene {
  readonly gate: ReleaseGate;
}

/**
 * A write, from what was asked to the answer: all is decided, the intent is on record, the origin is asked once, the outcome is on record.
 * Between the intent and the outcome a crash leaves the intent, which names whom it was about; nothing is sent a second time.
 */
export async function write(asked: AskedWrite, scene: WriteScene, trail: Trail): Promise<Response> {
  const planned = await planWrite(asked, scene);
  if (!planned.ok) return trail.refuse(planned.error);
  const { returns } = asked.conditions;
  const paid = await scene.gate.spendNames(scene.origin.concerned);
  if (!paid.ok) return trail.refuse(paid.error);
  if (planned.value.kind !== "send") return answerUnsent(planned.value, asked, scene, trail);

  const { type, concerned } = planned.value;
  const still = await scene.gate.stillGood();
  if (!still.ok) return trail.refuse(still.error);
  const refused = await trail.intend(concerned);
  if (refused !== undefined) return refused;

  const sent = await sendWrite(planned.value, scene.origin);
  if (!sent.ok) {
    const { status } = faceOf(sent.error);
    return trail.conclude({
      status,
      refusal: sent.error,
      reason: sent.error.reason,
      type,
      id: planned.value.id,
      concerned,
    });
  }
  const done = sent.value;
  noteWritten(planned.value, scene.origin.residences);
  const ended = {
    status: done.status,
    type,
    id: done.id,
    returns,
    location: locationOf(done, scene),
    concerned,
  };
  const told = await tell(
    () => (done.status === 204 ? Promise.resolve(undefined) : represent(done, returns, scene)),
    scene,
  );
  return trail.conclude({ ...ended, ...told });
}

/** Only of what was created, since only that has a new address. */
function locationOf(
  {
    status,
    type,
    id,
    version,
  }: { status: number; type: string; id: string | undefined; version: string | undefined },
  { origin: { base } }: WriteScene,
) {
  if (status !== 201 || id === undefined) return undefined;
  return `${base}/${type}/${id}${version === undefined ? "" : `/_history/${version}`}`;
}

/**
 * What of the resource the answer shows. The write is done whatever happens here: who may no longer be answered, or cannot be, learns its
 * status and nothing else, and the record says why.
 */
async function tell(
  shown: () => Promise<Disclosure | undefined>,
  { gate, origin }: WriteScene,
): Promise<{ readonly disclosure?: Disclosure | undefined; readonly reason?: string }> {
  try {
    const disclosure = await shown();
    const may = await gate.stillGood();
    if (!may.ok) return { reason: may.error.reason };
    if (disclosure === undefined) return {};
    const spent = await gate.spendRecords(disclosure, origin.concerned);
    return spent.ok ? { disclosure } : { reason: spent.error.reason };
  } catch {
    return { reason: "answer_unavailable" satisfies RecordedOnly };
  }
}

async function answerUnsent(
  planned: Exclude<PlannedWrite, { kind: "send" }>,
  { conditions: { returns } }: AskedWrite,
  scene: WriteScene,
  trail: Trail,
): Promise<Response> {
  const { type } = planned;
  if (planned.kind === "nothing")
    return trail.conclude({ status: 204, type, returns, concerned: concernsNobody });
  const { id, concerned } = planned;
  const told = await tell(
    () => represent({ type, id, body: undefined, base: scene.origin.base }, returns, scene),
    scene,
  );
  return trail.conclude({
    status: 200,
    type,
    id,
    returns,
    location: `${scene.origin.base}/${type}/${id}`,
    concerned,
    ...told,
  });
}
