// Serves the page, and the three values that it needs.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const dev = JSON.parse(readFileSync(process.argv[2] ?? ".phylax/dev.json", "utf8"));
const settings = { issuer: dev.issuers[0].iss, fhir: dev.fhir, clientId: "single-page-app" };
const file = (name) => readFileSync(new URL(name, import.meta.url));
const page = ["text/html; charset=utf-8", file("index.html")];
const answers = {
  "/": page,
  "/callback": page, // the issuer sends the browser back here
  "/app.js": ["text/javascript; charset=utf-8", file("app.js")],
  "/corrections.js": ["text/javascript; charset=utf-8", file("corrections.js")],
  "/settings.json": ["application/json", JSON.stringify(settings)],
};

createServer((request, response) => {
  const [type, body] = answers[new URL(request.url, "http://page").pathname] ?? [];
  if (type === undefined) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(body);
}).listen(4173, "127.0.0.1", () => console.log("http://127.0.0.1:4173/"));
