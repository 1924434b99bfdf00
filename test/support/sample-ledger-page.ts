import type { Page } from "playwright-core";
import { checkpointOf } from "#ledger/commit";
import { checkpointText } from "#ledger/tlog/checkpoint";
import { emptyRoot } from "#ledger/tlog/merkle";
import { verifierKey } from "#ledger/tlog/signed-note";
import type { DevFile } from "../../cli/connection/dev-file.ts";
import { logOfFrames, origin, sampleLog, type SampleLog, signed } from "../ledger/sample-log.ts";

/**
 * Gives the console's ledger page a sample ledger without witnesses in the place of the stack's own: one log with
 * frames of these numbers of leaves, under a root log. Returns the number of leaves.
 */
export async function serveSampleLedger(
  page: Page,
  dev: DevFile,
  frames: readonly number[],
): Promise<number> {
  const log = await sampleLog(frames);
  const at = checkpointOf(log.head);
  const leafOf = (checkpoint: typeof at) => signed(checkpointText(checkpoint), checkpoint.origin);
  const root = logOfFrames(
    [[leafOf({ origin, size: 0, root: emptyRoot })], [leafOf(at)]],
    undefined,
    "ledger.test/root",
  );
  const rootKey = verifierKey(root.verifier.name, root.verifier.publicKey);
  const serve = (of: SampleLog, name: string) =>
    page.route(`${dev.ledger}/${name}/**`, (route) => {
      const bytes = of.objects.get(new URL(route.request().url()).pathname.slice(name.length + 2));
      const headers = { "access-control-allow-origin": "*" };
      return bytes === undefined
        ? route.fulfill({ status: 404, headers })
        : route.fulfill({ body: Buffer.from(bytes), headers });
    });
  await serve(root, "root");
  await serve(log, "s0-2026h2");
  await page.route(`${dev.console}/ledger`, async (route) => {
    const answer = await route.fetch();
    const body = (await answer.text())
      .replace(/data-root="[^"]*"/u, `data-root="${rootKey}"`)
      .replace(/data-witnesses="[^"]*"/u, 'data-witnesses=""');
    await route.fulfill({ response: answer, body });
  });
  return at.size;
}
