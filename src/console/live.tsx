import { setAll } from "#entrypoint/base-headers";
import { utf8 } from "#kernel/encoded";
import { htmlText } from "./answers.ts";
import { lookNow } from "./now.ts";
import { NowContent, type NowLinks } from "./pages/now.tsx";
import { Plots } from "./pages/plots.tsx";
import type { ConsolePorts } from "./ports.ts";
import type { Range } from "./traffic/timeline.ts";
import { plotsFor } from "./traffic/plots.ts";
import { lookAtTraffic } from "./traffic/report.ts";

const everyMilliseconds = 2_000;
// The traffic book gets new numbers within a minute, and a span of it costs more than a look.
const looksAPlot = 15;
// The browser connects again afterwards.
const looksMax = 150;

/**
 * Server-Sent Events (WHATWG HTML §9.2): the content of the page Now, again every two seconds for five
 * minutes, with the plots every 30 seconds.
 * `linksNow` is asked before each look, and ends the stream with the session or a lost right. The content has numbers and
 * names of parts, and no patient data.
 */
export function liveAnswer(
  { signal }: Request,
  headers: Headers,
  ports: ConsolePorts,
  range: Range,
  linksNow: () => Promise<NowLinks | undefined>,
): Response {
  setAll(headers, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
  let looks = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (looks > 0) await ports.wait(everyMilliseconds);
      const isOver = signal.aborted || ++looks > looksMax;
      const links = isOver ? undefined : await linksNow();
      if (links === undefined) {
        controller.close();
        return;
      }
      const now = htmlText(<NowContent report={await lookNow(ports)} links={links} />);
      const plots =
        looks % looksAPlot === 0
          ? htmlText(<Plots report={await lookAtTraffic(ports, range)} plots={plotsFor(links.registry)} />)
          : "";
      const content = `${now}${plots}`;
      // A line of data for each line of the content; the event ends with an empty line.
      const lines = content.split("\n").map((line) => `data: ${line}\n`);
      controller.enqueue(utf8(`event: now\n${lines.join("")}\n`));
    },
  });
  return new Response(body, { status: 200, headers });
}
