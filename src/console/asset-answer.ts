import { problem } from "#admin/answer";
import { baseHeaders, setAll } from "#entrypoint/base-headers";
import { assets } from "./assets.gen.ts";
import { reviewAsset } from "./review-script.gen.ts";

/** A file of the console by its name, which has a part of its hash: it never changes and has no data. */
export function assetAnswer(name: string, requestId: string): Response {
  const asset = [...Object.values(assets), reviewAsset].find(
    ({ path }) => path === `/console/assets/${name}`,
  );
  if (asset === undefined) return problem(requestId, { status: 404, title: "Not Found" });
  const headers = baseHeaders(requestId);
  setAll(headers, {
    "content-type": asset.type,
    "cache-control": "public, max-age=31536000, immutable",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
  });
  return new Response(asset.text, { status: 200, headers });
}
