import * as z from "zod";
import { isAlertId } from "#audit/alerts/rules";
import { silenceMaxMilliseconds } from "#audit/alerts/silence";
import { type Clock, instant } from "#kernel/clock";
import { ok } from "#kernel/result";
import { rejectedAt, type Verb } from "#admin/administer";
import type { Role } from "#admin/operator";
import type { Alerts } from "#admin/ports";
import { registryReaders } from "#admin/change-registry";

const time = z.iso.datetime({ offset: true });
/** The roles that read the alerts. */
export const alertReaders: readonly Role[] = [...registryReaders, "revoker"];
/** The roles that silence alerts. */
export const silencers: readonly Role[] = ["registry-admin", "revoker"];
const reason = z
  .string()
  .regex(/^[^\p{Cc}]{1,300}$/u)
  .meta({ description: "Why, on record. Name no patient." });

const report = z.object({
  alerts: z.array(
    z.object({
      alert: z.string(),
      state: z.enum(["quiet", "waiting", "firing"]),
      since: time.nullable(),
      severity: z.enum(["page", "ticket"]),
      says: z.string(),
      runbook: z.string(),
      value: z.number().nullable().meta({ description: "Null: no fact says it." }),
      threshold: z.number(),
      unit: z.enum(["times", "seconds", "number"]),
      silenced: z.boolean(),
    }),
  ),
  silences: z.array(
    z.object({
      id: z.string(),
      alerts: z.array(z.string()),
      from: time,
      until: time,
      reason: z.string(),
      operator: z.string(),
    }),
  ),
  waiting: z.int().meta({ description: "Messages that wait for their receiver." }),
  deadLetters: z.array(
    z.looseObject({
      alert: z.string(),
      state: z.string(),
      at: time,
      givenUpAt: time,
      failed: z
        .union([z.enum(["unreachable", "late"]), z.int()])
        .nullable()
        .meta({ description: "How the last try failed; a number is a status." }),
    }),
  ),
  key: z.looseObject({}).meta({ description: "The public JWK of the messages' signatures." }),
});

/** How each alert stands, the silences, and the messages that no receiver took. */
export const listAlertsVerb = (alerts: Alerts): Verb => ({
  interaction: "list-alerts",
  does: "How each alert stands, the silences, the messages that no receiver took, and the public key of their signatures.",
  answer: report,
  method: "GET",
  path: "api/alerts",
  roles: alertReaders,
  changes: "nothing",
  async act() {
    return ok({ answer: await alerts.report() });
  },
});

const silence = z.strictObject({
  alerts: z
    .array(z.string().refine((id) => id === "all" || isAlertId(id)))
    .min(1)
    .max(50)
    .meta({ description: "Ids of alerts, or `all`." }),
  from: time.optional().meta({ description: "Of a maintenance window that is planned; at once without it." }),
  until: time.meta({ description: "Within seven days of the begin." }),
  reason,
});

/** Silences alerts for a time, with a reason on record. */
export const silenceAlertsVerb = (alerts: Alerts, clock: Clock): Verb => ({
  interaction: "silence-alerts",
  does: "Sends no message about these alerts for a time, such as a maintenance window. They are judged and shown meanwhile, and an alert that still fires at the end is sent then.",
  document: silence,
  answer: z.object({ silence: z.string() }),
  method: "POST",
  path: "api/alerts/silence",
  roles: silencers,
  changes: "repeatably",
  async act({ document, operator }) {
    const read = silence.safeParse(document);
    if (!read.success) return malformed(String(read.error.issues[0]?.path[0] ?? ""));
    const { alerts: ids, until, reason: why } = read.data;
    const from = instant(read.data.from === undefined ? clock() : Date.parse(read.data.from));
    const ends = instant(Date.parse(until));
    if (ends <= from || ends <= clock() || ends - from > silenceMaxMilliseconds) return malformed("until");
    const id = await alerts.silence({ alerts: ids, from, until: ends, reason: why, operator: operator.id });
    return ok({ answer: { silence: id } });
  },
});

const ending = z.strictObject({ silence: z.string().regex(/^[0-9a-f]{32}$/u), reason });

/** Ends a silence before its time, with a reason on record. */
export const unsilenceAlertsVerb = (alerts: Alerts): Verb => ({
  interaction: "unsilence-alerts",
  does: "Ends a silence, also of a time to come: messages about its alerts are sent again.",
  document: ending,
  answer: z.object({ ended: z.literal(true) }),
  method: "POST",
  path: "api/alerts/unsilence",
  roles: silencers,
  changes: "repeatably",
  async act({ document }) {
    const read = ending.safeParse(document);
    if (!read.success) return malformed(String(read.error.issues[0]?.path[0] ?? ""));
    return (await alerts.endSilence(read.data.silence))
      ? ok({ answer: { ended: true } })
      : rejectedAt("silence", "silence_not_open", "is not the id of a silence that lasts or is to come");
  },
});

const malformed = (field: string) => rejectedAt(field, "silence_malformed", "is missing or malformed");
