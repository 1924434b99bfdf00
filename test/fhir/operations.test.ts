import { test } from "vitest";
import { readInteraction } from "#fhir/interaction";
import { operationNames, operationTable } from "#fhir/operations";
import { onRecord } from "#gateway/record/on-record";
import { parsePolicyDocument } from "#policy/document";
import { policy, rule } from "../policy/granting.ts";

test.for(operationNames)("each place reads the row of $%s", (name, { expect }) => {
  const { type = "Patient", on, method } = operationTable[name];
  const segments = on === "instance" ? [type, "amara", `$${name}`] : [type, `$${name}`];
  const query = name === "lastn" ? "patient=amara" : "";
  const interaction = readInteraction(method, segments, query);
  if (!interaction.ok) throw new Error(interaction.error.reason);
  expect(interaction.value.kind).toBe(name);
  expect(onRecord(interaction.value).interaction).toBe(`$${name}`);
  const document = { ...policy(rule(["Patient"], "everything")), operations: [name] };
  expect(parsePolicyDocument(document)).toMatchObject({ ok: true });
});
