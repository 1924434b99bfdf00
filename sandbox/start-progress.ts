const stepMilliseconds = 200;
const silentMilliseconds = 2_000;
const clearLine = "\r\u001B[K";

/** The seconds of a start, on a terminal only, after two seconds. A printed line takes the place of the progress. */
export function showStart(stream: NodeJS.WriteStream = process.stderr): {
  readonly say: (line: string) => void;
  readonly stop: () => void;
} {
  if (!stream.isTTY) return { say: (line) => console.log(line), stop: () => undefined };
  const from = Date.now();
  const timer = setInterval(() => {
    const elapsed = Date.now() - from;
    if (elapsed >= silentMilliseconds)
      stream.write(`${clearLine}Phylax starts: ${Math.floor(elapsed / 1_000)} s …`);
  }, stepMilliseconds);
  timer.unref();
  return {
    say(line) {
      stream.write(clearLine);
      console.log(line);
    },
    stop() {
      clearInterval(timer);
      stream.write(clearLine);
    },
  };
}
