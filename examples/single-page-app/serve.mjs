// Serves the page, and the three values that it needs.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const dev = JSON.parse(readFileSync(process.argv[2] ?? ".phylax/dev.json", "utf8"));
const settings = { issuer: dev.issuers[0].iss, fhir: dev.fhir, clientId: "single-page-app" };
const file = (name) => readFileSync(new URL(name, import.meta.url));
// The accounting opens under the policy of this page: its style is inline, and its script is the ledger's.
const origins = [settings.issuer, settings.fhir, dev.ledger].map((url) => new URL(url).origin).join(" ");
const html = String(file("index.html"))
  .replace("script-src 'self'", `script-src 'self' ${dev.ledger}/`)
  .replace("connect-src 'self'", `connect-src 'self' ${origins}`);
const [, policy] = /content="(default-src [^"]*)"/u.exec(html);
const page = ["text/html; charset=utf-8", html];
const script = (name) => ["text/javascript; charset=utf-8", file(name)];
const answers = {
  "/": page,
  "/callback": page, // the issuer sends the browser back here
  ...Object.fromEntries(["app", "corrections", "page"].map((name) => [`/${name}.js`, script(`${name}.js`)])),
  "/page.css": ["text/css; charset=utf-8", file("page.css")],
  "/settings.json": ["application/json", JSON.stringify(settings)],
};

createServer((request, response) => {
  const [type, body] = answers[new URL(request.url, "http://page").pathname] ?? [];
  if (type === undefined) return response.writeHead(404).end();
  const headers = {
    "content-type": type,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": `${policy}; frame-ancestors 'none'`,
  };
  response.writeHead(200, headers).end(body);
}).listen(4173, "127.0.0.1", () => console.log("http://127.0.0.1:4173/"));
