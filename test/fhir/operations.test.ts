import { test } from "vitest";
import { readInteraction } from "#fhir/interaction";
import { operationNames, operationTable, takesPostedQuery } from "#fhir/operations";
import { onRecord } from "#gateway/record/on-record";
import { parsePolicyDocument } from "#policy/document";
import { policy, rule } from "../policy/granting.ts";

test.for(operationNames)("each place reads the row of $%s", (name, { expect }) => {
  const { type = "Patient", on, methods } = operationTable[name];
  const segments = on === "instance" ? [type, "amara", `$${name}`] : [type, `$${name}`];
  const query = name === "lastn" ? "patient=amara" : "";
  for (const method of ["GET", "POST"] as const) {
    const interaction = readInteraction(method, segments, query);
    expect(interaction.ok, method).toBe(methods.includes(method));
    if (!interaction.ok) continue;
    expect(interaction.value.kind).toBe(name);
    expect(onRecord(interaction.value).interaction).toBe(`$${name}`);
  }
  expect(takesPostedQuery(`$${name}`)).toBe(name === "everything" || name === "lastn");
  const document = { ...policy(rule(["Patient"], "everything")), operations: [name] };
  expect(parsePolicyDocument(document)).toMatchObject({ ok: true });
});
