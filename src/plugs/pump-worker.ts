/** The thread of a pump: opens both ends, joins them, and reopens the left one if it may. */
import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from "node:worker_threads";
import { V2Error } from "../base/index.ts";
import { Bell, pollFd, READY } from "../sys/index.ts";
import { CaptureEnd } from "./capture.ts";
import { CaptureRing } from "./capture-ring.ts";
import type { CableEnd } from "./end.ts";
import { canOffload, openSource } from "./end-source.ts";
import { Pump, type PumpCounters, type PumpSide } from "./pump.ts";
import type { PumpQuestion, PumpReport, PumpWorkerData } from "./pump-thread.ts";

const NOTHING: PumpCounters = {
  framesRight: 0,
  octetsRight: 0,
  framesLeft: 0,
  octetsLeft: 0,
  waits: 0,
};

function sum(a: PumpCounters, b: PumpCounters): PumpCounters {
  return {
    framesRight: a.framesRight + b.framesRight,
    octetsRight: a.octetsRight + b.octetsRight,
    framesLeft: a.framesLeft + b.framesLeft,
    octetsLeft: a.octetsLeft + b.octetsLeft,
    waits: a.waits + b.waits,
  };
}

/** The end, seen by a capture when there is one. */
function captured(end: CableEnd, memory: SharedArrayBuffer | undefined): CableEnd {
  if (memory === undefined) return end;
  return new CaptureEnd(end, { ring: new CaptureRing(memory), port: 0, isBothWays: false });
}

function serve(control: MessagePort, data: PumpWorkerData): PumpReport {
  const bell = new Bell(data.bellFd);
  let before = NOTHING;
  let pump: Pump | undefined;
  let isStopped = false;
  const counters = (): PumpCounters => sum(before, pump?.counters() ?? NOTHING);
  const report = (message: PumpReport): void => control.postMessage(message);

  function onWake(): void {
    for (;;) {
      const received = receiveMessageOnPort(control);
      if (received === undefined) return;
      const question = received.message as PumpQuestion;
      if (question.kind === "counters") report({ kind: "counters", counters: counters() });
      else {
        isStopped = true;
        pump?.stop();
      }
    }
  }

  /** Waits a moment; the bell is answered meanwhile. */
  function pause(milliseconds: number): void {
    if (pollFd(bell.fd, READY.readable, milliseconds) === 0) return;
    bell.silence();
    onWake();
  }

  // Unfinished frames pay only where both sides can carry them.
  const offload = canOffload(data.left) && canOffload(data.right);

  /** Opens the left end; with `reconnectMs` tries until it is there. */
  function openLeft(isAgain: boolean): CableEnd | undefined {
    for (;;) {
      try {
        return captured(openSource(data.left, { offload }), data.captureMemory);
      } catch (error) {
        if (!isAgain || data.reconnectMs === undefined || !(error instanceof V2Error)) throw error;
        pause(data.reconnectMs);
        if (isStopped) return undefined;
      }
    }
  }

  // The left end first: the right one may take this thread out of the network it needs.
  let left = openLeft(false);
  let right: CableEnd | undefined;
  let closed: PumpSide | undefined;
  try {
    right = openSource(data.right, { offload });
    while (left !== undefined) {
      pump = new Pump(left, right, bell, onWake);
      report({ kind: "joined" });
      closed = pump.run();
      before = counters();
      pump.close();
      pump = undefined;
      left.close();
      if (closed !== "left" || data.reconnectMs === undefined) break;
      left = openLeft(true);
    }
  } finally {
    left?.close();
    right?.close();
  }
  return { kind: "ended", closed, counters: before };
}

function main(control: MessagePort): void {
  try {
    control.postMessage(serve(control, workerData as PumpWorkerData));
  } catch (error) {
    if (!(error instanceof V2Error)) throw error;
    const { code, message, remedy, exitCode } = error;
    control.postMessage({ kind: "failed", code, message, remedy, exitCode } satisfies PumpReport);
  }
  control.close();
}

if (parentPort !== null) main(parentPort);
