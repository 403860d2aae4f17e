/*
 * Loaded ahead of a process that must not outlive the platform: its standard input is a pipe that only the platform
 * holds open, so it ends when the platform does, `kill -9` included. As hard as that: nothing is given back.
 */
const end = (): void => void process.kill(process.pid, 'SIGKILL');
process.stdin.once('end', end).once('error', end).resume();
// A wait for the parent's death is no work: it keeps no process running.
(process.stdin as unknown as { unref(): void }).unref();
