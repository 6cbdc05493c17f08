/**
 * The thread of a switch's data plane: blocks in epoll, obeys the control plane when its bell
 * rings.
 */
import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from "node:worker_threads";
import { V2Error } from "../base/index.ts";
import { Bell } from "../sys/index.ts";
import { Switch } from "../vde/index.ts";
import { openSource } from "./end-source.ts";
import { SwitchDataplane } from "./switch-dataplane.ts";
import { obeyFstp } from "./switch-fstp.ts";
import type {
  NumberedCommand,
  SwitchCommand,
  SwitchReport,
  SwitchWorkerData,
} from "./switch-protocol.ts";

function serve(control: MessagePort, data: SwitchWorkerData): void {
  const report = (message: SwitchReport): void => control.postMessage(message);
  const core = new Switch(data.options);
  const dataplane = new SwitchDataplane({
    switch: core,
    bell: new Bell(data.bellFd),
    clockMs: () => performance.now(),
    onEndClosed: (id) => report({ kind: "endClosed", id }),
    onFstpEvent: (event) => report({ kind: "fstpEvent", event }),
    onStation: (change) => report({ kind: "station", change }),
    onWake: () => {
      for (;;) {
        const received = receiveMessageOnPort(control);
        if (received === undefined) return;
        const { number, command } = received.message as NumberedCommand;
        report(obey(number, command));
      }
    },
  });

  function obey(number: number, command: SwitchCommand): SwitchReport {
    try {
      switch (command.kind) {
        case "add": {
          const options = { batches: dataplane.batches, offload: true };
          dataplane.add(command.id, command.port, openSource(command.source, options));
          break;
        }
        case "remove": {
          // What the cable carried is told to the port it was plugged into.
          const counters = dataplane.counters();
          dataplane.remove(command.id);
          return { kind: "answer", number, counters };
        }
        case "stations":
          return { kind: "answer", number, stations: core.table.entries(performance.now()) };
        case "change":
          dataplane.apply(command.change);
          break;
        case "capture":
          dataplane.addCapture(command.capture);
          break;
        case "endCapture":
          dataplane.removeCapture(command.id);
          break;
        case "impair":
          dataplane.impair(command.port, command.settings);
          break;
        case "fstp": {
          const fstp = obeyFstp(core, command.request, performance.now());
          return { kind: "answer", number, fstp };
        }
        case "tune":
          dataplane.tune(command.tuning);
          break;
        case "counters":
          return { kind: "answer", number, counters: dataplane.counters() };
        case "stop":
          dataplane.stop();
          break;
      }
      return { kind: "answer", number };
    } catch (error) {
      if (!(error instanceof V2Error)) throw error;
      if (command.kind === "add") dataplane.remove(command.id);
      const { code, message, remedy } = error;
      return {
        kind: "answer",
        number,
        error: { code, message, ...(remedy === undefined ? {} : { remedy }) },
      };
    }
  }

  dataplane.run();
  dataplane.close();
}

if (parentPort !== null) {
  serve(parentPort, workerData as SwitchWorkerData);
  parentPort.close();
}
