import type { HtmlEscapedString } from "hono/utils/html";
import { baseHeaders, setAll } from "#entrypoint/base-headers";
import { setRetryAfter } from "#entrypoint/retry-after";
import type { ConsolePlaces } from "./ports.ts";

/**
 * The headers of every page. No script, style or frame of a different origin runs; no page of a different
 * origin may frame it or keep a handle on its window; nothing is cached. The browser may fetch from the ledger,
 * the FHIR base and its issuer, because the pages check the ledger and look patients up in the browser.
 */
export function pageHeaders(requestId: string, places: ConsolePlaces): Headers {
  const headers = baseHeaders(requestId);
  const reachable = [places.ledger, ...(places.patients === undefined ? [] : patientPlaces(places.patients))];
  setAll(headers, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy":
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
      `connect-src 'self' ${[...new Set(reachable)].join(" ")}; ` +
      "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-frame-options": "DENY",
    // no-referrer would make a form's Origin "null"
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
  });
  return headers;
}

const patientPlaces = ({ fhir, issuer }: NonNullable<ConsolePlaces["patients"]>): readonly string[] => [
  new URL(fhir).origin,
  new URL(issuer).origin,
];

/** A part of a page. Texts in it are escaped. */
export type Rendered = HtmlEscapedString | Promise<HtmlEscapedString>;

export function htmlText(page: Rendered): string {
  if (page instanceof Promise) throw new TypeError("a component of the console is asynchronous");
  return page.toString();
}

export function htmlAnswer(page: Rendered, status: number, headers: Headers): Response {
  setRetryAfter(status, headers);
  return new Response(`<!doctype html>${htmlText(page)}`, { status, headers });
}

/** The headers of an answer for a script of the console: it is no page, and nothing in it runs or may be framed. */
export function dataHeaders(requestId: string): Headers {
  const headers = baseHeaders(requestId);
  setAll(headers, {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
  });
  return headers;
}

/** An answer for a script of the console. */
export function jsonAnswer(value: object, status: number, headers: Headers): Response {
  headers.set("content-type", "application/json");
  return new Response(JSON.stringify(value), { status, headers });
}

export function redirectAnswer(location: string, headers: Headers): Response {
  headers.delete("content-type");
  headers.set("location", location);
  return new Response(null, { status: 303, headers });
}
