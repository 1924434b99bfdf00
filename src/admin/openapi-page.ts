import { html } from "hono/html";
import type { Verb } from "./administer.ts";
import { openApiDocument } from "./openapi.ts";

type Page = ReturnType<typeof html>;

/** The operators' API for readers in a browser, without a script: each address with its roles and its schemas. */
export function openApiPage(verbs: readonly Verb[], url: string): Page {
  const { paths } = openApiDocument(verbs, url) as { readonly paths: Paths }; // as it is made there
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Phylax operators' API</title>
      </head>
      <body>
        <h1>Phylax operators' API</h1>
        <p>
          Each call needs the operator's certificate; an operator who is a person also signs in. Each call is
          on record. Programs read <a href="/api/openapi.json">the OpenAPI document</a>.
        </p>
        ${verbs.map((verb) => section(verb, paths))}
      </body>
    </html>`;
}

type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;
interface Operation {
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}
type Content = Readonly<Record<string, { readonly schema: unknown }>>;

function section({ path, method, does, roles, interaction }: Verb, paths: Paths): Page {
  const operation = paths[`/${path}`]?.[method.toLowerCase()];
  const parameters = operation?.parameters ?? [];
  return html`<section id="${interaction}">
    <h2><code>${method} /${path}</code></h2>
    <p>${does}</p>
    <p>Roles: ${roles.join(", ")}.</p>
    ${
      parameters.length === 0
        ? ""
        : html`<p>Parameters: ${parameters.map((each) => `${each.name} (${each.in})`).join(", ")}.</p>`
    }
    ${schema("Document", operation?.requestBody?.content)}
    ${schema("Answer", operation?.responses["200"]?.content)}
  </section>`;
}

const schema = (title: string, content: Content | undefined): Page | "" =>
  content === undefined
    ? ""
    : html`<details>
        <summary>${title}</summary>
        <pre tabindex="0">${JSON.stringify(content["application/json"]?.schema, null, 2)}</pre>
      </details>`;
