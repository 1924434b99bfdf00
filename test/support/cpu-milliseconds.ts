/** Milliseconds that the calling thread is on a CPU during a call: other work of the machine does not count. */
export function cpuMillisecondsOf(call: () => void): number {
  const before = process.threadCpuUsage();
  call();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}
