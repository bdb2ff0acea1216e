// Server-sent events: what comes is handed on as it comes, and never more is held than one reader that is slow has yet to take.
import { HEADERS } from './replies.ts';

/** Hands on one event; false where the reader is behind: then what comes next may be left out. */
export type Send = (name: string, data: unknown) => boolean;

const KEEP_ALIVE_MS = 15_000;

/**
 * `start` begins to send; what it gives is called when the reader is gone. `signal` ends it. `onDrained` waits until a reader who was behind is not any more.
 */
export function eventStream(signal: AbortSignal, start: (send: Send, whenReady: () => Promise<void>) => () => void): Response {
  const encoder = new TextEncoder();
  let stop = (): void => {};
  let wake: (() => void) | undefined;
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        let isEnded = false;
        const keepAlive = setInterval(() => write(': still here\n\n'), KEEP_ALIVE_MS).unref();
        const write = (text: string): boolean => {
          if (!isEnded) controller.enqueue(encoder.encode(text));
          return !isEnded && (controller.desiredSize ?? 0) > 0;
        };
        write(': here\n\n'); // so that the headers are sent, and the reader knows that it is connected
        const stopSending = start(
          (name, data) => write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`),
          () => new Promise<void>((resolve) => ((controller.desiredSize ?? 0) > 0 || isEnded ? resolve() : (wake = resolve))),
        );
        stop = (): void => {
          if (isEnded) return;
          isEnded = true;
          clearInterval(keepAlive);
          stopSending();
          wake?.();
        };
        const end = (): void => {
          if (isEnded) return;
          stop();
          controller.close();
        };
        if (signal.aborted) end();
        else signal.addEventListener('abort', end, { once: true });
      },
      pull() {
        wake?.();
        wake = undefined;
      },
      cancel() {
        stop();
      },
    },
    { highWaterMark: 16 },
  );
  return new Response(body, {
    headers: { ...HEADERS, 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  });
}
