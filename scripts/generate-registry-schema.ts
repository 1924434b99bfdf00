// Writes docs/registry.schema.json: the registry file as JSON Schema, for editors and for operators who
// provision clients.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { registryDocument } from "#registry/document";

const schema = z.toJSONSchema(registryDocument, { io: "input" });
writeFileSync(
  join(import.meta.dirname, "../docs/registry.schema.json"),
  `${JSON.stringify(schema, null, 2)}\n`,
);
