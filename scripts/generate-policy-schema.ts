// Writes docs/policy.schema.json: the policy format as JSON Schema, for editors and for authors of policies.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { publishedPolicySchema } from "#policy/published-schema";

writeFileSync(
  join(import.meta.dirname, "../docs/policy.schema.json"),
  `${JSON.stringify(publishedPolicySchema(), null, 2)}\n`,
);
