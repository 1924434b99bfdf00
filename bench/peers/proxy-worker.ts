import { Hono } from "hono";

/** The floor: what a Worker with Hono costs that only passes on. No check, no cut, no record. */
const app = new Hono<{ Bindings: { readonly ORIGIN: string } }>();

app.get("/v1/fhir/main/*", ({ env, req }) => {
  const { pathname, search } = new URL(req.url);
  return fetch(`${env.ORIGIN}${pathname.slice("/v1/fhir/main".length)}${search}`);
});

export default app;
