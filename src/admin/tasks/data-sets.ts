import * as z from "zod";
import { ok } from "#kernel/result";
import { rejectedAt, type Verb } from "#admin/administer";
import type { DataSets } from "#admin/ports";

const name = z.string().min(1).max(200);
const dataSetEnd = z.strictObject({ client: name, agreement: name, origin: name, dataSet: name });

/** Ends a data set, for an operator with the role `privacy-officer`. */
export const endDataSetVerb = (dataSets: DataSets): Verb => ({
  method: "POST",
  roles: ["privacy-officer"],
  interaction: "end-data-set",
  does: "Ends a data set of a recipient before its agreement ends: its random codes are deleted for good, no code of it names a row any more, and no new code is made under its name.",
  document: dataSetEnd,
  answer: z.object({ ended: z.literal(true) }),
  path: "api/data-sets/end",
  changes: "repeatably",
  async act({ document }) {
    const read = dataSetEnd.safeParse(document);
    if (!read.success) {
      const field = String(read.error.issues[0]?.path[0] ?? "");
      return rejectedAt(field, "data_set_malformed", "is missing or malformed");
    }
    const { dataSet, ...whose } = read.data;
    const isEnded = await dataSets.end({ ...whose, name: dataSet });
    return isEnded
      ? ok({ answer: { ended: true } })
      : rejectedAt("", "data_set_not_open", "names no data set with codes");
  },
});
